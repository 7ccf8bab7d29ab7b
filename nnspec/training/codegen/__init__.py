"""Formulas as machine code: traced to a graph, written for the lanes of vectors, compiled with LLVM."""
