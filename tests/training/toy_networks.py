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


class Plain(nn.Sequential):
    """A network of 8 x 8 images without batch norm or dropout, a layer of it unused."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, stride=2, padding=1)
        self.relu = nn.ReLU()
        self.flat = nn.Flatten()
        self.final = nn.Linear(96, classes)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, classes)."""
        return self.final(self.flat(self.relu(self.conv(x))))


class Colors(nn.Sequential):
    """Two layers with batch norm and dropout that take images in color of any size."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 5, stride=2)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.flat = nn.Flatten()
        self.dropout = nn.Dropout(0.2)
        self.final = nn.Linear(24, classes)


class Cochleagrams(nn.Sequential):
    """The same for cochleagrams (n, 1, rows, frames)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3, stride=2)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.flat = nn.Flatten()
        self.final = nn.Linear(24, classes)
