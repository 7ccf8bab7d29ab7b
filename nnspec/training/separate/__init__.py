"""Networks that train one after another, each by machine code made for its spec."""
