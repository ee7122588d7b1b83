-- What came in the week before the as-of date.
SELECT document_id
FROM text
WHERE received_at >= $as_of - INTERVAL 7 DAY
