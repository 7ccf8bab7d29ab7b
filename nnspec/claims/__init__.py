"""A study: the question that a sweep answers, and the claims that it must bear out, judged by its networks."""
