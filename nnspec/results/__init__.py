"""What training leaves: the arrays of a cell, the table of a sweep."""
