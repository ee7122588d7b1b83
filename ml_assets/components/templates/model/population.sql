-- Who is scored at T: accounts that were opened before it.
SELECT DISTINCT account_id
FROM accounts
WHERE account_id IS NOT NULL
