-- Recency, frequency, money, rhythm and basket of the usable order lines of the lookback (180 days).
--
-- Exact duplicates of a line (about 1 %) are one line that was stored twice; `sheet` says which workbook sheet a row came
-- from and is no part of the line. Gaps are measured between days with an order: two invoices on one day are one visit.
-- Money is summed as a decimal: the sum is then the same in whatever order the rows come.
WITH lines AS (
    SELECT DISTINCT customer_id, invoice, stock_code, description, quantity, invoice_date, unit_price, country
    FROM transactions
    WHERE customer_id IS NOT NULL AND invoice NOT LIKE 'C%' AND quantity > 0 AND unit_price > 0
),

orders AS (
    SELECT
        customer_id,
        invoice,
        MIN(invoice_date) AS ordered_at,
        COUNT(DISTINCT stock_code) AS products,
        SUM(quantity) AS items,
        SUM(quantity * CAST(unit_price AS DECIMAL(18, 4))) AS value
    FROM lines
    GROUP BY customer_id, invoice
),

totals AS (
    SELECT
        customer_id,
        DATE_DIFF('second', MAX(ordered_at), $as_of) / 86400.0 AS recency, -- days
        COUNT(*) AS orders_180d,
        COUNT(*) FILTER (ordered_at >= $as_of - INTERVAL 90 DAY) AS orders_90d,
        COUNT(*) FILTER (ordered_at >= $as_of - INTERVAL 30 DAY) AS orders_30d,
        CAST(SUM(value) AS DOUBLE) AS money_180d,
        AVG(value) AS order_value,
        AVG(products) AS basket_products,
        SUM(items) / COUNT(*) AS basket_items,
        COUNT(DISTINCT CAST(ordered_at AS DATE)) AS order_days,
        DATE_DIFF('day', MIN(ordered_at), MAX(ordered_at)) AS span_days
    FROM orders
    GROUP BY customer_id
)

SELECT
    customer_id,
    recency,
    orders_180d,
    orders_90d,
    orders_30d,
    money_180d,
    order_value,
    basket_products,
    basket_items,
    -- One order day has no gap: the value is missing, not 0.
    span_days / NULLIF(order_days - 1, 0) AS gap_days,
    recency / NULLIF(span_days / NULLIF(order_days - 1, 0), 0) AS overdue
FROM totals
