"""What the tests' Slurm is configured to be: three nodes on one machine, and haste.

Slurm's own timers are set short, where a test waits for them: how soon a job starts, or
starts again (`cred_expire`), how soon a silent node is given up, how long a job that is
told to end may take.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

CONFIGURATION = Path("/etc/slurm")
CGROUPS = Path("/sys/fs/cgroup")
NODES = {"c1": "cpu", "c2": "cpu", "g1": "gpu"}
CPUS, MEMORY, DEVICES = 2, 6000, 2
FIRST_PORT = 17100
# Marks a configuration as ours, so that no other is ever replaced.
MARK = "# written by the tests of the metamers workflow"
FILES = ("slurm.conf", "gres.conf", "cgroup.conf")


def refuse_other_configuration() -> None:
    """Stop where a Slurm that is not ours is configured on this machine.

    Raises
    ------
    RuntimeError
        Naming the file that is of another cluster.
    """
    path = CONFIGURATION / "slurm.conf"
    if path.is_file() and MARK not in path.read_text():
        raise RuntimeError(f"{path} is of another cluster; it is left alone")


def write_configuration(folder: Path) -> None:
    """Write the configuration for the nodes, and what this kernel allows.

    Parameters
    ----------
    folder
        Where the daemons keep their state, logs and pid files.
    """
    CONFIGURATION.mkdir(exist_ok=True)
    host = socket.gethostname().partition(".")[0]
    hosts = Path("/etc/hosts").read_text()
    if not any(host in line.split()[1:] for line in hosts.splitlines()):
        with open("/etc/hosts", "a") as file:
            file.write(f"127.0.0.1 {host}\n")
    devices = []
    for number in range(DEVICES):
        device = folder / "devices" / f"gpu{number}"
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
    (CONFIGURATION / "slurm.conf").write_text(_slurm_conf(folder, host, limited))


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


def _slurm_conf(folder: Path, host: str, limited: bool) -> str:
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
AuthInfo=cred_expire=30
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MailProg=/bin/true
ProctrackType=proctrack/{"cgroup" if limited else "linuxproc"}
TaskPlugin=task/{"cgroup" if limited else "none"}
JobAcctGatherType=jobacct_gather/{"cgroup" if limited else "linux"}
JobAcctGatherFrequency=task=1
{"" if limited else "JobAcctGatherParams=OverMemoryKill"}
ReturnToService=2
SlurmctldPidFile={folder}/pid/slurmctld.pid
SlurmdPidFile={folder}/pid/slurmd.%n.pid
SlurmdSpoolDir={folder}/spool/%n
StateSaveLocation={folder}/state
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
SlurmdParameters=config_overrides
SlurmctldTimeout=30
SlurmdTimeout=10
InactiveLimit=0
KillWait=2
MinJobAge=7200
MessageTimeout=10
UnkillableStepTimeout=30
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
GresTypes=gpu
AccountingStorageType=accounting_storage/none
{nodes}{partitions}"""
