"""Commands that change what a store holds."""
