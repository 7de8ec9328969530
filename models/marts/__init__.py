"""The published tables: what pages, reports and `guelta ask` read."""
