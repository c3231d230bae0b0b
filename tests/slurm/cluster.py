"""A real Slurm cluster on this one machine, for tests.

Debian's packages, without systemd and without accounting: munge, one controller, and
one ``slurmd`` for each virtual node. ``c1`` and ``c2`` are in the partition ``cpu``,
``g1`` is in ``gpu`` and has two devices that Slurm takes for GPUs (they are
``/dev/null``), so that jobs are given ``CUDA_VISIBLE_DEVICES``. Needs root.

    python tests/slurm/cluster.py up      # install what is missing, start, show
    python tests/slurm/cluster.py down
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# The modules beside this one, which are no package.
sys.path.insert(0, str(Path(__file__).parent))
from configuration import (
    CONFIGURATION,
    FILES,
    NODES,
    refuse_other_configuration,
    write_configuration,
)
from processes import (
    end,
    output,
    processes_on,
    running,
    step_daemon,
    wait_until,
    work_of,
)

PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client")
FOLDER = Path("/var/tmp/metamers-slurm")


@dataclass(frozen=True)
class SlurmJob:
    """One job as the controller remembers it."""

    number: int
    state: str
    rule: str
    node: str
    # The time limit, as squeue writes it.
    limit: str
    # What it asked for in all, as squeue writes it: "gres:gpu:1", or "N/A".
    devices: str


class Cluster:
    """The cluster, its faults, and what it remembers of its jobs."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder

    # ------------------------------------------------------------- up and down

    def start(self) -> None:
        """Install what is missing and start all that does not run."""
        refuse_other_configuration()
        install()
        for name in ("log", "pid", "state", "spool", "devices"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name in ("log", "pid", "state"):
            shutil.chown(self.folder / name, "slurm", "slurm")
        write_configuration(self.folder)
        self._start_munge()
        self.start_controller()
        for node in NODES:
            self.start_node(node)

    def stop(self) -> None:
        """Cancel all jobs, stop all daemons by their pid files, and clear up."""
        refuse_other_configuration()
        try:
            if self.answers():
                subprocess.run(["scancel", "--user=root"], check=False)
                with contextlib.suppress(TimeoutError):
                    wait_until(lambda: not squeue("--states=R,CG,PD"), 15, "jobs end")
            for node in NODES:
                end(self._pid(f"slurmd.{node}"), "slurmd", signal.SIGTERM)
            end(self._pid("slurmctld"), "slurmctld", signal.SIGTERM)
            end(Path("/run/munge/munged.pid"), "munged", signal.SIGTERM)
        finally:
            # With a configuration and no controller, every start of Snakemake waits.
            for name in FILES:
                (CONFIGURATION / name).unlink(missing_ok=True)
            shutil.rmtree(self.folder, ignore_errors=True)

    def answers(self) -> bool:
        """Say whether the controller answers."""
        if not shutil.which("scontrol"):
            return False
        done = subprocess.run(
            ["scontrol", "ping"], capture_output=True, text=True, check=False
        )
        return done.returncode == 0 and " UP" in done.stdout

    def start_controller(self) -> None:
        """Start the controller unless it runs."""
        if not running(self._pid("slurmctld"), "slurmctld"):
            subprocess.run(["slurmctld"], check=True)
        wait_until(self.answers, 90, "the controller answers", self._log("slurmctld"))

    def start_node(self, node: str) -> None:
        """Start a node unless it runs, and wait until it takes jobs."""
        if not running(self._pid(f"slurmd.{node}"), "slurmd"):
            (self.folder / "spool" / node).mkdir(exist_ok=True)
            subprocess.run(["slurmd", "-N", node], check=True, start_new_session=True)
        ready = ("idle", "mixed", "allocated", "completing")

        def takes_jobs() -> bool:
            state = output("sinfo", "-h", "-N", "-n", node, "-o", "%T").strip()
            if state.rstrip("*") in ("down", "drained", "draining", "drain"):
                command = ["scontrol", "update", f"NodeName={node}", "State=RESUME"]
                subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
            return state in ready

        wait_until(takes_jobs, 120, f"{node} takes jobs", self._log(f"slurmd.{node}"))

    # ------------------------------------------------------------------ faults

    def stop_controller(self) -> None:
        """Stop the controller, which saves what it knows of its jobs."""
        end(self._pid("slurmctld"), "slurmctld", signal.SIGTERM)

    def kill_node(self, node: str) -> None:
        """End a node with all that runs on it, as a power failure would.

        Parameters
        ----------
        node
            Its name.
        """
        end(self._pid(f"slurmd.{node}"), "slurmd", signal.SIGKILL)
        jobs = list(processes_on(node))
        # First who would report the end of a job, then the jobs.
        steps = {step for job in jobs if (step := step_daemon(job))}
        for pid in (*steps, *jobs, *processes_on(node)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end_time_of(self, job: SlurmJob) -> None:
        """Let a running job meet its time limit before its work is done.

        The shortest limit is a whole minute, so it is brought forward to now. The
        controller looks for jobs over their time every 30 s only; until then the work
        stands still, or a fast machine would be done before.

        Parameters
        ----------
        job
            It ends as Slurm ends what is over its time.
        """
        work = work_of(job.number)
        if not work:
            raise RuntimeError(f"no process works on {job}")
        for pid in work:
            os.kill(pid, signal.SIGSTOP)
        command = ["scontrol", "update", f"JobId={job.number}", "EndTime=now"]
        subprocess.run(command, check=True)

    # ------------------------------------------------------------------- jobs

    def jobs(self, prefix: str = "") -> list[SlurmJob]:
        """Return the jobs that the controller remembers, in order of submission.

        Parameters
        ----------
        prefix
            Of the jobs' names: those of one run only.
        """
        found = []
        for line in squeue("--states=all"):
            number, state, name, comment, *others = line.split("|")
            if name.startswith(prefix):
                rule = comment.removeprefix("rule_").partition("_wildcards_")[0]
                found.append(SlurmJob(int(number), state, rule, *others))
        return sorted(found, key=lambda job: job.number)

    def running_on(self, rule: str, prefix: str = "") -> SlurmJob | None:
        """Return a running job of a rule, if there is one."""
        jobs = [job for job in self.jobs(prefix) if job.rule == rule]
        return next((job for job in jobs if job.state == "RUNNING"), None)

    # ---------------------------------------------------------------- the rest

    def _pid(self, name: str) -> Path:
        return self.folder / "pid" / f"{name}.pid"

    def _log(self, name: str) -> Callable[[], str]:
        """Return a function that reads the end of a daemon's log."""
        path = self.folder / "log" / f"{name}.log"
        return lambda: path.read_text()[-2000:] if path.is_file() else "no log"

    def _start_munge(self) -> None:
        """Start the daemon that signs messages, with a key made here."""
        for folder, mode in (
            ("/run/munge", 0o755),
            ("/var/lib/munge", 0o711),
            ("/var/log/munge", 0o700),
            ("/etc/munge", 0o700),
        ):
            Path(folder).mkdir(parents=True, exist_ok=True)
            shutil.chown(folder, "munge", "munge")
            Path(folder).chmod(mode)
        key = Path("/etc/munge/munge.key")
        if not key.is_file() or not key.stat().st_size:
            key.write_bytes(os.urandom(128))
        shutil.chown(key, "munge", "munge")
        key.chmod(0o400)
        if not running(Path("/run/munge/munged.pid"), "munged"):
            for leftover in Path("/run/munge").glob("munge.socket*"):
                leftover.unlink()
            command = ["setpriv", "--reuid=munge", "--regid=munge", "--init-groups"]
            subprocess.run([*command, "/usr/sbin/munged"], check=True)

        def signs() -> bool:
            done = subprocess.run(
                "munge -n | unmunge", shell=True, capture_output=True, check=False
            )
            return done.returncode == 0

        wait_until(signs, 30, "munge answers")


def install() -> None:
    """Install Debian's packages where they are missing, without starting anything."""
    missing = [name for name in PACKAGES if not installed(name)]
    if not missing:
        return
    policy = Path("/usr/sbin/policy-rc.d")
    made = not policy.exists()
    if made:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=False, env=environment)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
        subprocess.run(
            [*command, *missing],
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
    finally:
        if made:
            policy.unlink()


def installed(package: str) -> bool:
    """Say whether a Debian package is installed."""
    if not shutil.which("dpkg-query"):
        return False
    command = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout == "ii "


def squeue(*options: str) -> list[str]:
    """Return a line for each job: number, state, name, comment, node, and so on."""
    names = ("JobID", "State", "Name", "Comment", "NodeList", "TimeLimit")
    # A field with an ending is as long as it needs; the last has no ending to lose.
    fields = [f"{name}:|" for name in names] + ["tres-per-job:."]
    text = output("squeue", "-h", "-O", ",".join(fields), *options)
    return [line for line in text.splitlines() if line.strip()]


if __name__ == "__main__":
    cluster = Cluster()
    if sys.argv[1:] == ["up"]:
        cluster.start()
        sys.stdout.write(output("sinfo", "-N", "-o", "%N %P %T %c %m %G"))
    elif sys.argv[1:] == ["down"]:
        cluster.stop()
    else:
        sys.exit(f"usage: {sys.argv[0]} up | down")
