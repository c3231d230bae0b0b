"""The study's published statistics, from its public data."""
