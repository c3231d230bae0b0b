"""The training loop, perturbations, and measures of what was trained."""
