"""Answers made of sentences quoted from the facts."""
