-- 1 where a customer of the population places no order in [$as_of, $as_of + horizon), 0 where one is placed.
--
-- `transactions` holds exactly the rows of that span. A cancellation (invoice C…) or a free line is no order.
SELECT
    population.customer_id,
    CAST(orders.customer_id IS NULL AS INTEGER) AS label
FROM population
LEFT JOIN (
    SELECT DISTINCT customer_id
    FROM transactions
    WHERE invoice NOT LIKE 'C%' AND quantity > 0 AND unit_price > 0
) AS orders USING (customer_id)
