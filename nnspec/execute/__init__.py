"""Cells in, results as events out: workers and engines. Knows no store and no figure."""
