"""Errors of model folders."""


class ModelError(Exception):
    """A model folder cannot be used. The message says what is wrong, in which file, and how to fix it."""
