"""The public door of Sutra."""
