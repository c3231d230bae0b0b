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
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client")
FOLDER = Path("/var/tmp/metamers-slurm")
CONFIGURATION = Path("/etc/slurm")
CGROUPS = Path("/sys/fs/cgroup")
NODES = {"c1": "cpu", "c2": "cpu", "g1": "gpu"}
CPUS, MEMORY, DEVICES = 2, 6000, 2
FIRST_PORT = 17100
# Marks a configuration as ours, so that no other is ever replaced.
MARK = "# written by the tests of the metamers workflow"


@dataclass(frozen=True)
class SlurmJob:
    """One job as the controller remembers it."""

    number: int
    state: str
    rule: str
    node: str


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
        self._configure()
        self._start_munge()
        self.start_controller()
        for node in NODES:
            self.start_node(node)

    def stop(self) -> None:
        """Cancel all jobs, stop all daemons by their pid files, and clear up."""
        if self.answers():
            subprocess.run(["scancel", "--user=root"], check=False)
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: not squeue("--states=R,CG,PD"), 15, "jobs end")
        for node in NODES:
            end(self._pid(f"slurmd.{node}"), "slurmd", signal.SIGTERM)
        end(self._pid("slurmctld"), "slurmctld", signal.SIGTERM)
        end(Path("/run/munge/munged.pid"), "munged", signal.SIGTERM)
        # With a configuration and no controller, every start of Snakemake waits.
        for name in ("slurm.conf", "gres.conf", "cgroup.conf"):
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
        wait_until(self.answers, 30, "the controller answers")

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

        wait_until(takes_jobs, 40, f"{node} takes jobs")

    # ------------------------------------------------------------------ faults

    def stop_controller(self) -> None:
        """Stop the controller, which saves what it knows of its jobs."""
        end(self._pid("slurmctld"), "slurmctld", signal.SIGTERM)

    def kill_node(self, node: str) -> None:
        """End a node with all that runs on it, as a power failure would."""
        end(self._pid(f"slurmd.{node}"), "slurmd", signal.SIGKILL)
        jobs = list(processes_on(node))
        # First who would report the end of a job, then the jobs.
        steps = {step for job in jobs if (step := step_daemon(job))}
        for pid in (*steps, *jobs, *processes_on(node)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

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
            number, state, name, comment, node = line.split("|")
            if name.startswith(prefix):
                rule = comment.removeprefix("rule_").partition("_wildcards_")[0]
                found.append(SlurmJob(int(number), state, rule, node))
        return sorted(found, key=lambda job: job.number)

    def running_on(self, rule: str, prefix: str = "") -> SlurmJob | None:
        """Return a running job of a rule, if there is one."""
        jobs = [job for job in self.jobs(prefix) if job.rule == rule]
        return next((job for job in jobs if job.state == "RUNNING"), None)

    # ---------------------------------------------------------------- the rest

    def _pid(self, name: str) -> Path:
        return self.folder / "pid" / f"{name}.pid"

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

        wait_until(signs, 10, "munge answers")

    def _configure(self) -> None:
        """Write the configuration for the nodes, and what this kernel allows."""
        CONFIGURATION.mkdir(exist_ok=True)
        host = socket.gethostname().partition(".")[0]
        hosts = Path("/etc/hosts").read_text()
        if not any(host in line.split()[1:] for line in hosts.splitlines()):
            with open("/etc/hosts", "a") as file:
                file.write(f"127.0.0.1 {host}\n")
        devices = []
        for number in range(DEVICES):
            device = self.folder / "devices" / f"gpu{number}"
            if not device.exists():
                os.mknod(device, 0o600 | 0o020000, os.makedev(1, 3))
            devices.append(str(device))
        limited = limits_memory()
        (CONFIGURATION / "gres.conf").write_text(
            f"{MARK}\nNodeName=g1 Name=gpu Type=fake File={','.join(devices)}\n"
        )
        (CONFIGURATION / "cgroup.conf").write_text(
            f"{MARK}\n"
            + (
                "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n"
                f"CgroupMountpoint={CGROUPS}\nConstrainRAMSpace=yes\n"
                "AllowedRAMSpace=100\nMinRAMSpace=10\n"
                if limited
                else ""
            )
        )
        (CONFIGURATION / "slurm.conf").write_text(self._slurm_conf(host, limited))

    def _slurm_conf(self, host: str, limited: bool) -> str:
        nodes = "".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 "
            f"Port={FIRST_PORT + place} CPUs={CPUS} RealMemory={MEMORY}"
            f"{f' Gres=gpu:fake:{DEVICES}' if kind == 'gpu' else ''}\n"
            for place, (node, kind) in enumerate(NODES.items())
        )
        partitions = "".join(
            f"PartitionName={kind} "
            f"Nodes={','.join(n for n, k in NODES.items() if k == kind)} "
            f"Default={'YES' if kind == 'cpu' else 'NO'} MaxTime=60 DefaultTime=5\n"
            for kind in ("cpu", "gpu")
        )
        return f"""{MARK}
ClusterName=metamers
SlurmctldHost={host}(127.0.0.1)
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MailProg=/bin/true
ProctrackType=proctrack/{"cgroup" if limited else "linuxproc"}
TaskPlugin=task/{"cgroup" if limited else "none"}
JobAcctGatherType=jobacct_gather/{"cgroup" if limited else "linux"}
JobAcctGatherFrequency=task=2
{"" if limited else "JobAcctGatherParams=OverMemoryKill"}
ReturnToService=2
SlurmctldPidFile={self.folder}/pid/slurmctld.pid
SlurmdPidFile={self.folder}/pid/slurmd.%n.pid
SlurmdSpoolDir={self.folder}/spool/%n
StateSaveLocation={self.folder}/state
SlurmctldLogFile={self.folder}/log/slurmctld.log
SlurmdLogFile={self.folder}/log/slurmd.%n.log
SlurmdParameters=config_overrides
SlurmctldTimeout=30
SlurmdTimeout=15
InactiveLimit=0
KillWait=5
MinJobAge=7200
MessageTimeout=10
UnkillableStepTimeout=30
SchedulerParameters=batch_sched_delay=1,sched_interval=3,bf_interval=3
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
GresTypes=gpu
AccountingStorageType=accounting_storage/none
{nodes}{partitions}"""


def processes_on(node: str) -> Iterator[int]:
    """Yield the processes of a node's jobs; its name is in their environment."""
    wanted = f"SLURMD_NODENAME={node}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)


def step_daemon(pid: int) -> int | None:
    """Return the step daemon that a process descends from, if there is one."""
    while pid > 1:
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        if name == "slurmstepd":
            return pid
        pid = int(fields[1])
    return None


def refuse_other_configuration() -> None:
    """Stop where a Slurm that is not ours is configured on this machine."""
    path = CONFIGURATION / "slurm.conf"
    if path.is_file() and MARK not in path.read_text():
        raise RuntimeError(f"{path} is of another cluster; it is left alone")


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


def limits_memory() -> bool:
    """Say whether control groups can be made here, which end jobs over memory."""
    for controller in ("freezer", "memory", "cpuset"):
        probe = CGROUPS / controller / "metamers_probe"
        try:
            probe.mkdir()
            probe.rmdir()
        except OSError:
            return False
    return True


def running(pid_file: Path, name: str) -> bool:
    """Say whether the daemon of a pid file runs."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        return Path(f"/proc/{pid}/comm").read_text().strip() == name
    return False


def end(pid_file: Path, name: str, number: signal.Signals) -> None:
    """End the daemon of a pid file, if it runs, and wait for its end."""
    if not running(pid_file, name):
        return
    os.kill(int(pid_file.read_text()), number)
    try:
        wait_until(lambda: not running(pid_file, name), 20, f"{name} ends")
    except TimeoutError:
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
    pid_file.unlink(missing_ok=True)


def wait_until(reached: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for something, looking five times a second.

    Raises
    ------
    TimeoutError
        Saying what did not happen.
    """
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.2)


def output(*command: str) -> str:
    """Return what a command prints; empty where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def squeue(*options: str) -> list[str]:
    """Return a line for each job: number, state, name, comment and node."""
    text = output("squeue", "-h", "-o", "%i|%T|%j|%k|%N", *options)
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
