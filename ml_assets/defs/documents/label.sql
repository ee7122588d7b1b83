-- What the last review within the horizon says; null for what nobody looked at, which trains nothing.
SELECT
    population.document_id,
    arg_max(labels.label, labels.reviewed_at) AS label
FROM population
LEFT JOIN labels USING (document_id)
GROUP BY population.document_id
