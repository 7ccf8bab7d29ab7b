"""What a sweep's report shows of single networks, picked while the cells go by."""
