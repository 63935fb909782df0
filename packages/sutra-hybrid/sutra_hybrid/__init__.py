"""Learns texts and answers questions, with the embedding, storage and nlg services."""
