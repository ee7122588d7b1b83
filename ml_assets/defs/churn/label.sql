-- 1 for who cancels within the horizon: `transactions` holds what happens in [T, T + horizon).
SELECT
    population.customer_id,
    max(CASE WHEN transactions.kind = 'cancellation' THEN 1 ELSE 0 END) AS label
FROM population
LEFT JOIN transactions USING (customer_id)
GROUP BY population.customer_id
