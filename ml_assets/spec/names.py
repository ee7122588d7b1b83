"""Names that the declarations, a release and its answers share."""

REVIEW = "needs_review"
"""The decision of a model that is not sure: a person looks at it."""
