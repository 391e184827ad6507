"""Every test gets a deployment of its own: a fresh database, a real SMTP server, the real program."""

import sys
import tempfile
from pathlib import Path

import pytest

from support import stubs

# The test modules import the stubs when they are collected, so these come first.
_STUBS = tempfile.TemporaryDirectory(prefix="rolecall-stubs-")
stubs.generate(Path(_STUBS.name))
sys.path.insert(0, _STUBS.name)

from support.client import Client  # noqa: E402
from support.mailbox import Mailbox  # noqa: E402
from support.people import Office  # noqa: E402
from support.server import Rolecall  # noqa: E402


@pytest.fixture
def mailbox():
    mailbox = Mailbox()
    mailbox.start()
    yield mailbox
    mailbox.stop()


@pytest.fixture
def server(tmp_path, mailbox):
    """A running server on an empty database. That it ends with 0 on SIGTERM is part of every test."""
    server = Rolecall(tmp_path)
    try:
        server.serve(mailbox.url)
        yield server
        server.stop()
    finally:
        server.end()


@pytest.fixture
def client(server):
    client = Client(server.address)
    yield client
    client.close()


@pytest.fixture
def office(server, client, mailbox):
    """The workspace "Acme" with its Owner signed in."""
    return Office.open(server, client, mailbox)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    server = item.funcargs.get("server") if hasattr(item, "funcargs") else None
    if report.failed and server is not None:
        report.sections.append(("log of rolecall serve", server.log()))
    return report
