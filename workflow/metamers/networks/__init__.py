"""Architectures, their preprocessing, and how a stage's activation is captured."""
