"""Networks small enough to train in a test."""

import torch
from torch import nn


class Images(nn.Sequential):
    """One convolution with batch norm, dropout and a linear layer, 8 x 8 images."""

    def __init__(self, classes: int = 3, dropout: float = 0.2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.flat = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.final = nn.Linear(64, classes)


class Sounds(nn.Module):
    """A filter bank, energies in frames, and a linear layer; takes (n, samples)."""

    def __init__(self, classes: int = 3, units: int = 16) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, units, 32, stride=8)
        self.norm = nn.BatchNorm1d(units)
        self.relu = nn.ReLU()
        self.final = nn.Linear(units, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, classes) of sounds (n, samples)."""
        return self.final(self.relu(self.norm(self.conv(x[:, None]))).mean(dim=2))


class Diverging(nn.Linear):
    """A network of 8 x 8 images whose loss stops being finite at once."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits that overflow where the images are not black."""
        return super().forward(x.flatten(1)) * 1e38 * 1e38
