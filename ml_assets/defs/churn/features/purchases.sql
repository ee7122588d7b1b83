-- Money. Refunds are positive amounts of their own kind; a cancellation carries no amount.
SELECT
    customer_id,
    coalesce(sum(amount) FILTER (WHERE kind IN ('subscription', 'purchase')), 0) AS total_spend,
    avg(amount) FILTER (WHERE kind IN ('subscription', 'purchase')) AS average_transaction,
    count(*) FILTER (WHERE kind IN ('subscription', 'purchase')) AS payments,
    count(*) FILTER (WHERE kind = 'purchase') AS purchases,
    count(*) FILTER (WHERE kind = 'purchase' AND created_at >= $as_of - INTERVAL 56 DAY) AS purchases_56d,
    count(*) FILTER (WHERE kind = 'subscription' AND created_at >= $as_of - INTERVAL 84 DAY) AS subscriptions_84d,
    count(*) FILTER (WHERE kind = 'refund') AS refunds,
    date_diff('second', max(created_at) FILTER (WHERE kind = 'purchase'), $as_of) / 86400.0 AS days_since_purchase,
    date_diff('second', max(created_at) FILTER (WHERE kind = 'subscription'), $as_of) / 86400.0 AS days_since_payment
FROM transactions
WHERE customer_id IS NOT NULL
GROUP BY customer_id
