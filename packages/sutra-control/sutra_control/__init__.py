"""Sutra's dashboard for operators."""
