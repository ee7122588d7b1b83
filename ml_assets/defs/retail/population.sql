-- Who is scored: customers who placed an order in the 180 days before the as-of date.
--
-- 180 days and not 365: the history begins on 2009-12-01, so a whole year of it exists from December 2010 on only. Until
-- then the population would grow with the length of the file, not with the shop. 180 days are whole at every as-of date.
SELECT DISTINCT customer_id
FROM transactions
WHERE invoice_date >= $as_of - INTERVAL 180 DAY
  AND customer_id IS NOT NULL
  AND invoice NOT LIKE 'C%'
  AND quantity > 0
  AND unit_price > 0
