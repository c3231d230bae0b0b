"""What every job of the workflow does around its one piece of science.

A script of the workflow makes a `Job`, calls one function of the package and writes
what it returns. The job's log, threads, device and provenance are set up here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metamers.errors import StudyError
from metamers.files import atomic_path, write_json

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

logger = logging.getLogger("metamers")

ROOT = Path(__file__).resolve().parents[2]
# Fields of a study that hold a path where they hold text.
PATH_FIELDS = (
    "path",
    "training",
    "test",
    "clips",
    "backgrounds",
    "category_map",
    "rejected",
    "vocabulary",
    "background_labels",
)

# Between two saves of a long step's state; `--config save_seconds=10` is sooner.
SAVE_SECONDS = 60.0

# Read by the numeric libraries when they are imported, hence set before that.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Job:
    """One running job: its settings, log, threads and device.

    Making one sends everything that the process writes from now on to the job's log,
    also the traceback of an error that ends it.

    Parameters
    ----------
    snakemake
        The object that Snakemake hands to a script.

    Attributes
    ----------
    settings
        The slice of the study that this job reads.
    input, output, wildcards, config
        As Snakemake gives them.
    save_seconds
        Time between two saves of a long step's state.
    device
        ``cpu`` until `use_torch` has chosen one.
    """

    def __init__(self, snakemake: Any) -> None:
        self.started = time.monotonic()
        self.rule: str = snakemake.rule
        self.input, self.output = snakemake.input, snakemake.output
        self.wildcards = snakemake.wildcards
        self.settings: dict[str, Any] = snakemake.params.settings
        self.code: str = snakemake.params.code
        self.threads: int = snakemake.threads
        self.config: dict[str, Any] = snakemake.config
        self.device = "cpu"
        self._wanted_device: str = self.config["device"]
        self.save_seconds = positive_seconds(
            self.config.get("save_seconds", SAVE_SECONDS)
        )
        for variable in THREAD_VARIABLES:
            os.environ[variable] = str(self.threads)
        _write_to(str(snakemake.log[0]))
        of = " ".join(f"{key}={value}" for key, value in self.wildcards.items())
        logger.info("%s %s: started", self.rule, of)

    def use_torch(self, threads: int | None = None) -> str:
        """Set torch's threads and choose the device of the study.

        Parameters
        ----------
        threads
            As the study states them; by default those of the rule.

        Returns
        -------
        str
            ``"cpu"`` or ``"cuda"``.

        Raises
        ------
        StudyError
            Where the study demands a GPU and there is none.
        """
        import torch

        keep_freed_memory()
        torch.set_num_threads(threads or self.threads)
        self.device = choose_device(self._wanted_device, torch.cuda.is_available())
        if self.device == "cuda":
            # TensorFloat-32 has 10 bits of mantissa: too few to match an activation.
            torch.backends.cuda.matmul.allow_tf32 = False
            torch.backends.cudnn.allow_tf32 = False
        logger.info(
            "torch %s on %s, %d thread(s)",
            torch.__version__,
            self.device,
            torch.get_num_threads(),
        )
        return self.device

    def state_path(self, output: str | Path) -> Path:
        """Return where this job keeps its state until its outputs are written."""
        from metamers.provenance import settings_hash
        from metamers.resume import state_path

        identity = settings_hash({"settings": self.settings, "code": self.code})
        return state_path(output, identity)

    def discard_state(self, output: str | Path) -> None:
        """Remove the state of this job: all its outputs are written."""
        from metamers.resume import discard

        discard(self.state_path(output))

    def located(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """Return a section of the study with its paths made absolute.

        In a study file they are absolute or relative to the repository, where a job
        need not run.
        """
        return {
            key: str(ROOT / value)
            if key in PATH_FIELDS and isinstance(value, str)
            else value
            for key, value in section.items()
        }

    def provenance(self) -> dict[str, Any]:
        """Return how this job's results are made, to be stored inside them."""
        from metamers.provenance import provenance

        made = provenance(self.settings, self.code, self.started, self.device)
        return {"rule": self.rule, "wildcards": dict(self.wildcards.items()), **made}

    def embedded(self) -> dict[str, str]:
        """Return the provenance as text metadata, as safetensors files take it."""
        return {"provenance": json.dumps(self.provenance())}

    def write_csv(self, frame: pd.DataFrame, path: str | Path) -> None:
        """Write a table as csv and its provenance beside the results."""
        from metamers.files import write_csv

        write_csv(frame, path)
        self.record(path)

    def read_csv(self, paths: Iterable[str | Path]) -> pd.DataFrame | None:
        """Read tables of one kind as one; None where there are none."""
        import pandas as pd

        frames = [pd.read_csv(path) for path in paths]
        return pd.concat(frames, ignore_index=True) if frames else None

    def write_text(self, text: str, path: str | Path) -> None:
        """Write a page, and its provenance beside the results."""
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        self.record(path)

    def write_figure(self, figure: Figure, table: pd.DataFrame) -> None:
        """Write a figure in its formats and its numbers, with their provenance."""
        from metamers.figures.style import save_figure

        self.record(*save_figure(figure, table, Path(self.output.svg).with_suffix("")))

    def record(self, *paths: str | Path) -> None:
        """Write the provenance of files that cannot hold it themselves.

        It goes to ``results/{study}/provenance/``, with the sha256 of the file.
        """
        for path in map(Path, paths):
            content = {**self.provenance(), "sha256": file_digest(path)}
            write_json(content, sidecar(path))


def positive_seconds(value: object) -> float:
    """Return the time between two saves.

    Raises
    ------
    StudyError
        If the value is not a number above zero.
    """
    if isinstance(value, int | float) and value > 0:
        return float(value)
    raise StudyError(
        f"save_seconds: {value!r} is not a number of seconds above 0; write e.g. "
        "`--config save_seconds=60`, or leave it out"
    )


def keep_freed_memory() -> None:
    """Have the C library reuse the memory of freed tensors.

    By default glibc returns each large block to the system, and every step of training
    or synthesis pays for fetching it back: up to a quarter of the processor time of the
    demo's networks. Other C libraries are left as they are.
    """
    import ctypes

    trim_threshold, mmap_threshold = -1, -3
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(mmap_threshold, 1 << 30)
        library.mallopt(trim_threshold, (1 << 31) - 1)


def choose_device(wanted: str, available: bool) -> str:
    """Choose where to compute.

    Parameters
    ----------
    wanted
        The study's ``device``: ``auto``, ``cpu`` or ``cuda``.
    available
        Whether this process can use a GPU.

    Raises
    ------
    StudyError
        If ``cuda`` is wanted and not available.
    """
    if wanted == "cuda" and not available:
        raise StudyError(
            "device: 'cuda' is demanded by the study, but torch finds no GPU here; "
            "run where there is one, install a torch build for CUDA, or write "
            "'device: auto' or 'device: cpu'"
        )
    if wanted == "auto" and not available:
        logger.warning("no GPU found: computing on the processor (device: auto)")
    return "cuda" if available and wanted != "cpu" else "cpu"


def sidecar(path: str | Path) -> Path:
    """Return where the provenance of a result without room for it is kept.

    Parameters
    ----------
    path
        ``results/{study}/...``, relative to the working directory.
    """
    first, study, *rest = Path(path).parts
    return Path(first, study, "provenance", *rest[:-1], f"{rest[-1]}.json")


def file_digest(path: str | Path) -> str | None:
    """Return the sha256 of a file; None for a folder."""
    if Path(path).is_dir():
        return None
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_to(path: str) -> None:
    """Send standard output, standard error and logging of this process to a file."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    # The file descriptors themselves, so that compiled libraries are caught as well.
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )
    logging.captureWarnings(True)
