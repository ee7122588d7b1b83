-- Who they are. Spend is averaged over the months in which there is a record of it: the oldest customers are older than that.
WITH spent AS (
    SELECT
        customer_id,
        sum(amount) FILTER (WHERE kind IN ('subscription', 'purchase')) AS spend,
        date_diff('second', min(created_at), $as_of) / 86400.0 AS days
    FROM transactions
    WHERE customer_id IS NOT NULL
    GROUP BY customer_id
),

signed_up AS (
    SELECT
        customer_id,
        min(signed_up_at) AS signed_up_at,
        min(plan) AS plan,
        min(country) AS country,
        min(channel) AS channel
    FROM customers
    WHERE customer_id IS NOT NULL
    GROUP BY customer_id
)

SELECT
    signed_up.customer_id,
    date_diff('second', signed_up.signed_up_at, $as_of) / 86400.0 AS tenure_days,
    spent.spend * 30.0 / greatest(spent.days, 30.0) AS spend_per_month,
    signed_up.plan,
    signed_up.country,
    signed_up.channel
FROM signed_up
LEFT JOIN spent USING (customer_id)
