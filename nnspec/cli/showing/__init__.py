"""``nnspec show``: a spec in words, as a document, and in pictures."""
