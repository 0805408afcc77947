"""A signed log that others can check. Knows nothing of tenders."""
