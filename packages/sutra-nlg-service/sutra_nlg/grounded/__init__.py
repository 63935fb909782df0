"""Answers made of sentences that stand in the facts, word for word."""
