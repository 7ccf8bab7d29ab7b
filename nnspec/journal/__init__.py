"""A sweep's book: open it, take events, file them, resume. Knows no training."""
