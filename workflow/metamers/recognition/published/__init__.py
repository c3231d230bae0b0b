"""The study's public data: fetched, checked, and read into this project's tables."""
