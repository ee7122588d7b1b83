-- What the classifier sees: the words. Sizes and shares of tables or digits (features/shape.sql) tell apart the layouts that
-- it was trained on and mislead on others: with whole layouts left out, they cost 8 points of accuracy.
SELECT
    document_id,
    text,
    kind,
    ocr_confidence
FROM text
