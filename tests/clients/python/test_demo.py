"""`rolecall demo` prints calls to paste. Each is pasted here."""

import queue
import shlex

from support import tools
from support.server import Process

QUIET_SECONDS = 2


def is_open(command: str) -> bool:
    """Whether a shell would wait for another line."""
    if command.endswith("\\"):
        return True
    try:
        shlex.split(command)
    except ValueError:
        return True
    return False


def commands_in(lines: list[str]) -> list[str]:
    """Every `grpcurl` command, with the lines that continue it."""
    commands = []
    open_command = False
    for line in lines:
        if open_command:
            commands[-1] += "\n" + line.rstrip()
        elif line.strip().startswith("grpcurl "):
            commands.append(line.strip())
        else:
            continue
        open_command = is_open(commands[-1])
    assert not open_command, f"a command that never ends: {commands[-1]}"
    return commands


def lines_until_quiet(process: Process) -> list[str]:
    lines = []
    while True:
        try:
            line = process.next_line(QUIET_SECONDS)
        except queue.Empty:
            return lines
        assert line is not None, f"the demo has ended by itself\n{process.errors()}"
        lines.append(line)


def test_every_call_that_the_demo_prints_works_when_pasted(tmp_path):
    process = Process("demo", "--grpc-listen=127.0.0.1:0", folder=tmp_path)
    try:
        address, printed = process.wait_for_address()
        printed += lines_until_quiet(process)
        commands = commands_in(printed)
        assert commands, "the demo prints no grpcurl command:\n" + "\n".join(printed)
        for command in commands:
            assert address in command, f"not for this server: {command}"
            done = tools.run("bash", "-euo", "pipefail", "-c", command, folder=tmp_path)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        # What is printed later than the first pause would have gone untested.
        assert commands_in(process.stop()) == []
    finally:
        process.end()
