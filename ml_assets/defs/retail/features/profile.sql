-- Where a customer is and for how long: tenure within the lookback (365 days) and the country of the latest line.
WITH latest AS (
    SELECT
        customer_id,
        MIN(invoice_date) AS first_at,
        -- Two countries at the same minute: the first by name, so that the answer never depends on the order of files.
        ARG_MIN(country, (-EPOCH_US(invoice_date), country)) AS country
    FROM transactions
    WHERE customer_id IS NOT NULL AND invoice NOT LIKE 'C%' AND quantity > 0 AND unit_price > 0
    GROUP BY customer_id
)

SELECT
    customer_id,
    DATE_DIFF('day', first_at, $as_of) AS tenure_days,
    CASE
        WHEN country = 'United Kingdom' THEN 'United Kingdom'
        WHEN country IN ('EIRE', 'Channel Islands') THEN 'Ireland and Channel Islands'
        WHEN country IN (
            'Austria', 'Belgium', 'Cyprus', 'Czech Republic', 'Denmark', 'European Community', 'Finland', 'France',
            'Germany', 'Greece', 'Iceland', 'Italy', 'Lithuania', 'Malta', 'Netherlands', 'Norway', 'Poland',
            'Portugal', 'Spain', 'Sweden', 'Switzerland'
        ) THEN 'Europe'
        ELSE 'Overseas'
    END AS country_group
FROM latest
