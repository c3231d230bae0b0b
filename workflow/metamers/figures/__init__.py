"""What a study found, drawn: figures, pages, the gallery and the showcase."""
