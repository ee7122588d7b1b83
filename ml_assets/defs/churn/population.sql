-- Who is scored: signed up before the as-of date, and has not cancelled before it.
SELECT DISTINCT customer_id
FROM customers
WHERE customer_id IS NOT NULL
  AND customer_id NOT IN (
      SELECT customer_id FROM transactions WHERE kind = 'cancellation' AND customer_id IS NOT NULL
  )
