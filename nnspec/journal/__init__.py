"""A sweep's book: open it, take events, file them, resume, promote. Knows no training."""
