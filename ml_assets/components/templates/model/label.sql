-- 1 for who does nothing within the horizon: `events` holds what happens in [T, T + horizon). One row for each member.
SELECT
    population.account_id,
    CASE WHEN count(events.account_id) = 0 THEN 1 ELSE 0 END AS label
FROM population
LEFT JOIN events USING (account_id)
GROUP BY population.account_id
