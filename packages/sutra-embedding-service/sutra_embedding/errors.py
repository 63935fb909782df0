"""What can be wrong with a model folder."""


class ModelError(Exception):
    """A model folder that cannot be used. The message says what, in which file, and what to do."""
