"""The command-line clients that people reach for: grpcurl and buf."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.server import REPOSITORY, clean_environment

TOOL_SECONDS = 60
VENV_BIN = Path(sys.executable).parent


def grpcurl() -> str:
    """From the package in requirements.txt, beside the Python that runs the tests."""
    path = shutil.which("grpcurl", path=f"{VENV_BIN}{os.pathsep}{os.environ.get('PATH', '')}")
    assert path, "grpcurl is missing: install requirements.txt"
    return path


def buf() -> str:
    """From the Node packages in tests/clients/node."""
    packages = REPOSITORY / "tests" / "clients" / "node" / "node_modules" / ".bin"
    path = shutil.which("buf", path=f"{packages}{os.pathsep}{os.environ.get('PATH', '')}")
    assert path, "buf is missing: run `npm ci` in tests/clients/node"
    return path


def run(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a client in `folder`, outside of the repository, so that all it knows comes from the server."""
    environment = clean_environment()
    environment["PATH"] = f"{VENV_BIN}{os.pathsep}{environment.get('PATH', '')}"
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TOOL_SECONDS,
        check=False,
    )


def output_of(*command: str, folder: Path) -> str:
    done = run(*command, folder=folder)
    assert done.returncode == 0, f"{command[0]}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
