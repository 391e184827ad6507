"""The tour in the README, pasted as it stands."""

import re
import shutil
import socket
import subprocess

from support import tools
from support.server import REPOSITORY, binary, clean_environment

TOUR = re.compile(r"^<!-- tour: .*?-->$(.*?)^<!-- tour ends -->$", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PORT = "127.0.0.1:50051"
TOUR_SECONDS = 120


def test_the_tour_in_the_readme_works_when_pasted(tmp_path):
    tour = TOUR.search((REPOSITORY / "README.md").read_text())
    assert tour, "the README has no tour"
    script = "\n".join(BLOCK.findall(tour[1]))
    assert PORT in script
    # The packages are those of requirements.txt, and another server may be running on the usual port.
    script = script.replace("python3 -m pip --quiet install grpcio-tools\n", "")
    script = script.replace(PORT, f"127.0.0.1:{free_port()}")

    (tmp_path / "proto").symlink_to(REPOSITORY / "proto")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rolecall").symlink_to(binary())
    (tmp_path / "bin" / "grpcurl").symlink_to(tools.grpcurl())
    done = paste(script, tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    printed = done.stdout
    denied = printed.index("DENIAL_REASON_ROLE_TOO_LOW")
    allowed = printed.index('"allowed": true', denied)
    ended = printed.index("DENIAL_REASON_SESSION_ENDED", allowed)
    assert "AUDIT_ACTION_USER_REMOVED" in printed[ended:]
    assert printed.splitlines()[-2:] == ["True", "DENIAL_REASON_SESSION_ENDED"]
    # What the tour made, it has cleaned up.
    assert {path.name for path in tmp_path.iterdir()} == {"proto", "bin"}


def paste(script, folder):
    environment = clean_environment()
    port = re.search(r"127\.0\.0\.1:\d+", script)[0]
    environment["ROLECALL_GRPC_LISTEN"] = port
    environment["PATH"] = f"{folder / 'bin'}:{tools.VENV_BIN}:{environment['PATH']}"
    # Jobs, as in a terminal; whatever happens, the server that the script started ends with it.
    guarded = f"set -euo pipefail -o monitor\ntrap 'kill %1 2>/dev/null || true' EXIT\n{script}"
    return subprocess.run(
        [shutil.which("bash"), "-c", guarded],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TOUR_SECONDS,
        check=False,
    )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
