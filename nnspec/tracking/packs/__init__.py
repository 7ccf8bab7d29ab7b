"""Cells without a run of their own: those of a sweep together, in a few files of its run."""
