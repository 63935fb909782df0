"""Answers questions from given facts only, with citations."""
