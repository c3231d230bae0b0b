"""Model metamers: synthesis, recognition by people and networks, and statistics."""

__version__ = "0.1.0"
