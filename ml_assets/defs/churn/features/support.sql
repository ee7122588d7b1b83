-- Complaints, as far as the help desk had handed them over before the as-of date.
SELECT
    customer_id,
    count(*) * 30.0 / 180 AS tickets_per_month,
    count(*) FILTER (WHERE opened_at >= $as_of - INTERVAL 56 DAY) AS tickets_56d,
    count(*) FILTER (WHERE severity = 'high') AS severe_tickets,
    count(*) FILTER (WHERE topic = 'billing') AS billing_tickets,
    date_diff('second', max(opened_at), $as_of) / 86400.0 AS days_since_ticket
FROM support_tickets
WHERE customer_id IS NOT NULL
  AND opened_at >= $as_of - INTERVAL 180 DAY
GROUP BY customer_id
