"""Searches: trials are proposed by Optuna, a batch at a time, and each batch trains as one sweep does."""
