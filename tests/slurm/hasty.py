"""Snakemake as it is, but that it looks after its jobs more often.

    python tests/slurm/hasty.py SECONDS ARGUMENTS...

After each look at which no job had ended, the plugin waits 10 s longer before the next,
up to three minutes; there is no option for it. That is right for a cluster and jobs of
hours, but a test would spend most of its time in waiting. Here it waits at most so many
seconds, and Ctrl-C is heard. Nothing else is changed, and nothing in the jobs.
"""

from __future__ import annotations

import signal
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


def wait_at_most(seconds: float) -> None:
    """Let no executor wait longer than this between two looks at its jobs."""
    waiting = RemoteExecutor.next_seconds_between_status_checks

    def shorter(executor: RemoteExecutor, wanted: float) -> None:
        waiting.fset(executor, min(wanted, seconds))

    RemoteExecutor.next_seconds_between_status_checks = waiting.setter(shorter)


if __name__ == "__main__":
    # As in a terminal: what is started in the background is told to ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    wait_at_most(float(sys.argv[1]))
    main(sys.argv[2:])
