-- What the classifier sees: the words, and how the document begins, which is where it says what it is. Sizes and shares of
-- tables or digits (features/shape.sql) tell apart the layouts that it was trained on and mislead on others.
SELECT
    document_id,
    text,
    left(text, 400) AS opening,
    kind,
    ocr_confidence
FROM text
