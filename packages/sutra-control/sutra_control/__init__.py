"""The operators' dashboard of Sutra."""
