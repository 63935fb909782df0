"""Answers of a causal language model that has the facts in its prompt."""
