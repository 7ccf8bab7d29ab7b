"""Networks on another device than the processor, by torch's operations on all of a chunk's networks at once."""
