"""How a result was made: settings, code, versions, device, time and memory."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import resource
import sys
import time
from datetime import UTC, datetime
from typing import Any

PACKAGES = (
    "numpy",
    "pandas",
    "torch",
    "torchvision",
    "timm",
    "open_clip_torch",
    "h5py",
    "snakemake",
)
# Those that networks are built of.
NETWORK_PACKAGES = ("torch", "torchvision", "timm", "open_clip_torch")


def settings_hash(settings: object) -> str:
    """Return the sha256 (16 hex digits) of settings as canonical JSON."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the installed versions of the packages a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def provenance(
    settings: dict[str, Any], code: str, started: float, device: str = "cpu"
) -> dict[str, Any]:
    """Describe how a result was made.

    Parameters
    ----------
    settings
        The resolved slice of the study that the step read.
    code
        Fingerprint of the package modules that the step imports.
    started
        `time.monotonic` at the start of the step.
    device
        The device that the step computed on.

    Returns
    -------
    dict
        JSON-ready; ``seconds`` and ``peak_memory_mb`` are those of this process.
    """
    threads = None
    if "torch" in sys.modules:
        threads = sys.modules["torch"].get_num_threads()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scale = 1024**2 if sys.platform == "darwin" else 1024
    return {
        "settings": settings,
        "settings_hash": settings_hash(settings),
        "code_fingerprint": code,
        "versions": versions(),
        "device": device,
        "threads": threads,
        "seconds": round(time.monotonic() - started, 3),
        "peak_memory_mb": round(peak / scale, 1),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
