"""The page of a run and of a sweep."""
