"""Networks whose model is a ``torch.nn.Module`` of its own: torch differentiates them, many at a time where it can."""
