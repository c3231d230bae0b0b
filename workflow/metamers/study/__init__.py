"""The study file as strict typed models."""

from metamers.study.definition import Study
from metamers.study.reading import load_study

__all__ = ["Study", "load_study"]
