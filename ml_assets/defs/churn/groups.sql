-- Groups that the model never sees: who signed up on a weekend.
SELECT
    customer_id,
    CASE WHEN isodow(min(signed_up_at)) >= 6 THEN 'weekend' ELSE 'weekday' END AS signed_up
FROM customers
WHERE customer_id IS NOT NULL
GROUP BY customer_id
