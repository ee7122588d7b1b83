-- What a document looks like: for people, checks and other models.
SELECT
    document_id,
    bytes,
    pages,
    words,
    ocr_pages,
    n_sections,
    table_share,
    digit_share,
    has_dates,
    has_amounts,
    has_signature
FROM text
