"""Learning and asking: where embedding, storage and nlg become one service."""
