"""Shared code of the Python services.

Imports nothing, to keep the health check fast: it starts a new process every few seconds.
"""
