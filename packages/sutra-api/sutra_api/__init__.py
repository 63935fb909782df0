"""The public API of Sutra."""
