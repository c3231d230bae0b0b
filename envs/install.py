"""Make the project's environment in a folder, once, with every version pinned.

Run by the Makefile as ``python3 envs/install.py .venv [LOCK]``; needs only the standard
library. Without a lock, that of the whole workflow is taken. An environment that was
made from the same lock is left as it is.
"""

import hashlib
import pathlib
import shutil
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parents[1]
LOCK = ROOT / "envs" / "requirements.txt"
PYTHON = (3, 11)
# Disk that an environment takes; torch is what is large.
GIGABYTES = {"requirements.txt": 8, "published.txt": 1}


def check_machine(target: pathlib.Path, gigabytes: int) -> None:
    """Stop with a clear message where Python is too old or the disk too full."""
    if sys.version_info < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(
            f"Python {wanted} or newer is needed, and {sys.executable} is {found}. "
            f"Name another with: make PYTHON=python{wanted} ..."
        )
    free = shutil.disk_usage(target.parent).free / 1e9
    if free < gigabytes:
        sys.exit(
            f"The environment needs about {gigabytes} GB of disk, and {target.parent} "
            f"has {free:.1f} GB free. Make room, or clone elsewhere."
        )


def main() -> None:
    """Build the environment unless its lock is the one that it was built from."""
    target = pathlib.Path(sys.argv[1]).resolve()
    packages = pathlib.Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else LOCK
    stamp = target / "installed-lock"
    lock = hashlib.sha256(
        packages.read_bytes()
        + (ROOT / "pyproject.toml").read_bytes()
        + str(ROOT).encode()
    ).hexdigest()
    if stamp.is_file() and stamp.read_text() == lock:
        return
    check_machine(target, GIGABYTES[packages.name])
    print(f"Installing the environment in {target}: some minutes, once", flush=True)
    python = target / "bin" / "python"
    try:
        # One that a broken-off installation left is gone on with.
        if not (python.exists() and list(target.glob("lib/*/site-packages/pip"))):
            venv.EnvBuilder(with_pip=True, clear=True, symlinks=True).create(target)
    except (subprocess.CalledProcessError, OSError) as error:
        sys.exit(
            f"python3 could not make a virtual environment ({error}). On Debian and "
            "Ubuntu install the package python3-venv."
        )
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for arguments in (
        ["--no-deps", "-r", packages],
        ["--no-deps", "--no-build-isolation", "-e", ROOT],
    ):
        if subprocess.run([*pip, *arguments]).returncode:
            sys.exit(
                "The installation failed; the messages above say why. Nothing needs "
                "cleaning up: run the same command again to go on."
            )
    stamp.write_text(lock)
    print(f"Installed. Activate it with: source {target.name}/bin/activate", flush=True)


if __name__ == "__main__":
    main()
