"""Answers from a causal language model with the facts in its prompt."""
