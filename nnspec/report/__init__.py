"""What a command shows: the page, the terminal, the notebook."""
