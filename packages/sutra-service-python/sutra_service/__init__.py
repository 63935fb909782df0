"""What every Sutra service in Python shares.

Nothing is imported here, so that the health check, which runs every few seconds in its own
process, pays for nothing but itself.
"""
