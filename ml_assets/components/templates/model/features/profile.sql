-- Who they are.
SELECT
    account_id,
    min(segment) AS segment
FROM accounts
WHERE account_id IS NOT NULL
GROUP BY account_id
