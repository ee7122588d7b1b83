-- How often, how lately, how much. `events` holds the lookback before T; the only clock is $as_of.
SELECT
    account_id,
    count(*) AS events,
    count(*) FILTER (WHERE happened_at >= $as_of - INTERVAL 14 DAY) AS events_14d,
    count(*) FILTER (WHERE kind = 'support' AND happened_at >= $as_of - INTERVAL 14 DAY) AS support_14d,
    count(DISTINCT kind) AS kinds,
    avg(amount) AS average_amount,
    date_diff('second', max(happened_at), $as_of) / 86400.0 AS days_since_event
FROM events
WHERE account_id IS NOT NULL
GROUP BY account_id
