"""The real `rolecall` program, run as its operator would run it."""

import json
import os
import queue
import re
import secrets
import signal
import subprocess
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[4]
START_SECONDS = 30
STOP_SECONDS = 20
COMMAND_SECONDS = 60


def binary() -> Path:
    """The program under test: `ROLECALL_BIN`, else what `cargo build` leaves behind."""
    target = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target")
    path = Path(os.environ.get("ROLECALL_BIN", target / "debug" / "rolecall")).resolve()
    assert path.is_file(), f"{path} does not exist: run `cargo build`, or set ROLECALL_BIN"
    return path


def clean_environment() -> dict[str, str]:
    """The environment without settings that would change what the program does."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROLECALL_")}


class Process:
    """A `rolecall` command that runs until it is told to stop, its standard output read line by line."""

    def __init__(self, *arguments: str, folder: Path):
        self.log = folder / f"{arguments[0]}.log"
        self._log_file = self.log.open("ab")
        self._child = subprocess.Popen(
            [binary(), *arguments],
            cwd=folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            text=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._child.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def next_line(self, seconds: float) -> str | None:
        """The next line of standard output; None when it has ended. Raises `queue.Empty` when none comes in time."""
        return self._lines.get(timeout=seconds)

    def wait_for_address(self) -> tuple[str, list[str]]:
        """The address after `listening on`, and the lines that came before it."""
        deadline = time.monotonic() + START_SECONDS
        before = []
        while True:
            try:
                line = self.next_line(max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not listening after {START_SECONDS} s\n{self.errors()}") from None
            if line is None:
                raise AssertionError(f"ended before it listened, with {self._child.wait()}\n{self.errors()}")
            if listening := re.fullmatch(r"listening on (\S+:\d+)", line.strip()):
                return listening[1], before
            before.append(line)

    def errors(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> list[str]:
        """Asks it to stop (SIGTERM, to this one process), proves a clean end, answers the lines not read yet."""
        try:
            self._child.send_signal(signal.SIGTERM)
            status = self._child.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {STOP_SECONDS} s after SIGTERM\n{self.errors()}") from None
        finally:
            self.end()
        assert status == 0, f"exit status {status} after SIGTERM\n{self.errors()}"
        rest = []
        while (line := self._lines.get_nowait()) is not None:
            rest.append(line)
        return rest

    def end(self) -> None:
        """Leaves nothing behind, however the test went."""
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        self._reader.join()
        self._child.stdout.close()
        self._log_file.close()


def new_database(folder: Path) -> str:
    """The URL of a database that nothing was done to: a file, or on the server that `PGHOST` and its like name."""
    if os.environ.get("ROLECALL_TEST_DATABASE", "sqlite") == "sqlite":
        return f"sqlite://{folder}/rolecall.db"
    name = f"t{secrets.token_hex(8)}"
    subprocess.run(["createdb", name], check=True, timeout=COMMAND_SECONDS)
    user, password, host, port = (os.environ[f"PG{part}"] for part in ("USER", "PASSWORD", "HOST", "PORT"))
    return f"postgres://{user}:{password}@{host}:{port}/{name}"


class Rolecall:
    """One deployment: a database, the commands that work on it, and a server."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.database_url = new_database(folder)
        self.address = ""
        self._process: Process | None = None

    def run(self, *arguments: str) -> str:
        """Runs a command to its end and answers what it printed."""
        done = subprocess.run(
            [binary(), *arguments, "--database-url", self.database_url],
            cwd=self.folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{arguments[0]}: exit status {done.returncode}\n{done.stderr}"
        return done.stdout

    def bootstrap(self, workspace: str, owner: str) -> dict[str, str]:
        printed = self.run("bootstrap", "--workspace", workspace, "--owner", owner, "--json")
        lines = printed.splitlines()
        assert len(lines) == 1, f"--json prints one line, not {len(lines)}"
        return json.loads(lines[0])

    def create_service_key(self, name: str, *scopes: str) -> str:
        printed = self.run("service-key", "create", name, *(f"--scope={scope}" for scope in scopes))
        keys = re.findall(r"rck_[A-Za-z0-9_-]{43}", printed)
        assert len(keys) == 1, f"service-key create prints one key, not {len(keys)}"
        return keys[0]

    def serve(self, mail_url: str) -> None:
        self._process = Process(
            "serve",
            f"--database-url={self.database_url}",
            "--grpc-listen=127.0.0.1:0",
            f"--mail-url={mail_url}",
            folder=self.folder,
        )
        self.address, _ = self._process.wait_for_address()

    def log(self) -> str:
        return self._process.errors() if self._process else ""

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.stop()

    def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()
