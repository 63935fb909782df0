"""Answers in sentences, from facts alone and with the facts cited."""
