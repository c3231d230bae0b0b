"""What is shown and played: images, speech, backgrounds and their mixtures."""
