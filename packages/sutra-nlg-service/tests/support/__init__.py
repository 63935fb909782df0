"""Shared test code. Needs only numpy, and gguf to write GGUF files."""
