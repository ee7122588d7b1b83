-- Cancellations (invoices that start with C) beside the orders of the lookback (180 days), for everybody who ordered or
-- cancelled: no cancellation is a 0 that was seen, not a missing value.
WITH lines AS (
    SELECT DISTINCT
        customer_id, invoice, stock_code, description, quantity, invoice_date, unit_price, country,
        invoice LIKE 'C%' AS cancelled
    FROM transactions
    WHERE customer_id IS NOT NULL AND unit_price > 0 AND (quantity > 0) = (invoice NOT LIKE 'C%')
),

totals AS (
    SELECT
        customer_id,
        COUNT(DISTINCT invoice) FILTER (cancelled) AS cancellations,
        -- A decimal: its sum is the same in whatever order the rows come.
        COALESCE(SUM(-quantity * CAST(unit_price AS DECIMAL(18, 4))) FILTER (cancelled), 0) AS cancelled_money,
        COALESCE(SUM(quantity * CAST(unit_price AS DECIMAL(18, 4))) FILTER (NOT cancelled), 0) AS ordered_money
    FROM lines
    GROUP BY customer_id
)

SELECT
    customer_id,
    cancellations,
    -- Missing for who cancelled only. Above 1 where what was ordered before the lookback came back.
    CAST(cancelled_money AS DOUBLE) / CAST(NULLIF(ordered_money, 0) AS DOUBLE) AS cancelled_share
FROM totals
