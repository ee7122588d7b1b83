-- Ten numbers, none of them missing for an account that did anything.
SELECT
    account_id,
    count(*) AS events,
    count(*) FILTER (WHERE happened_at >= $as_of - INTERVAL 14 DAY) AS events_14d,
    count(*) FILTER (WHERE kind = 'order') AS orders,
    count(*) FILTER (WHERE kind = 'support') AS tickets,
    count(DISTINCT kind) AS kinds,
    sum(amount) AS total_amount,
    avg(amount) AS average_amount,
    max(amount) AS largest_amount,
    date_diff('second', max(happened_at), $as_of) / 86400.0 AS days_since_event,
    date_diff('second', min(happened_at), $as_of) / 86400.0 AS days_since_first
FROM events
WHERE account_id IS NOT NULL
GROUP BY account_id
