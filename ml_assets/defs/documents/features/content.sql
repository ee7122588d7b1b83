-- The text, and what it looks like. Sizes are logarithms: ten pages more matter less to a long document.
SELECT
    document_id,
    text,
    kind,
    ln(1 + words) AS log_words,
    ln(1 + pages) AS log_pages,
    ocr_confidence,
    table_share,
    digit_share,
    n_sections,
    has_dates,
    has_amounts,
    has_signature
FROM text
