"""Python stubs, generated from `proto/` the way that any client would do it."""

import importlib.resources
from pathlib import Path

from grpc_tools import protoc

PROTO_DIR = Path(__file__).resolve().parents[4] / "proto"


def generate(into: Path) -> None:
    """Generates messages and stubs for every file of the contract into the folder `into`."""
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    files = sorted(str(path) for path in PROTO_DIR.rglob("*.proto"))
    assert files, f"no .proto files in {PROTO_DIR}"
    arguments = [
        "protoc",
        f"--proto_path={PROTO_DIR}",
        f"--proto_path={well_known}",
        f"--python_out={into}",
        f"--grpc_python_out={into}",
        *files,
    ]
    if protoc.main(arguments) != 0:
        raise RuntimeError("the stubs could not be generated; see the lines above")
