-- What they do. The last four weeks stand against the twelve before, because each customer has a level of their own.
WITH counted AS (
    SELECT
        customer_id,
        count(*) AS sessions,
        count(*) FILTER (WHERE started_at >= $as_of - INTERVAL 28 DAY) AS sessions_28d,
        count(*) FILTER (
            WHERE started_at < $as_of - INTERVAL 28 DAY AND started_at >= $as_of - INTERVAL 112 DAY
        ) AS sessions_before,
        avg(minutes) AS session_minutes,
        avg(minutes) FILTER (WHERE started_at >= $as_of - INTERVAL 56 DAY) AS session_minutes_56d,
        avg(pages) AS pages_per_session,
        avg(CASE WHEN bounced THEN 1.0 ELSE 0.0 END) AS bounce_rate,
        avg(CASE WHEN bounced THEN 1.0 ELSE 0.0 END) FILTER (
            WHERE started_at >= $as_of - INTERVAL 56 DAY
        ) AS bounce_rate_56d,
        avg(feature_usage) AS usage_score,
        avg(feature_usage) FILTER (WHERE started_at >= $as_of - INTERVAL 56 DAY) AS usage_score_56d,
        date_diff('second', max(started_at), $as_of) / 86400.0 AS days_since_login
    FROM sessions
    WHERE customer_id IS NOT NULL
    GROUP BY customer_id
)

SELECT
    *,
    (sessions_28d + 0.5) / (sessions_before / 3.0 + 0.5) AS sessions_trend,
    usage_score_56d - usage_score AS usage_trend
FROM counted
