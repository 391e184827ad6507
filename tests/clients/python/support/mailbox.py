"""A real SMTP server that keeps what it is sent, and what a person reads off an e-mail."""

import email
import email.policy
import html
import queue
import re
from email.message import EmailMessage

from aiosmtpd.controller import Controller

DELIVERY_SECONDS = 30
LINK = re.compile(r"http://127\.0\.0\.1:8080/setup#token=(rci_[A-Za-z0-9_-]{43})")


class _AnyPort(Controller):
    """A controller that can be given port 0: it learns the port before it makes its own trial connection."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class Mailbox:
    def __init__(self):
        self._arrived: queue.Queue[tuple[list[str], EmailMessage]] = queue.Queue()
        self._controller = _AnyPort(self, hostname="127.0.0.1", port=0)

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 (aiosmtpd calls it by this name)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self._arrived.put((envelope.rcpt_tos, message))
        return "250 OK"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._controller.port}"

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    def is_empty(self) -> bool:
        return self._arrived.empty()

    def next_for(self, address: str) -> EmailMessage:
        """Waits for the next e-mail, which must be for this address and nobody else."""
        try:
            recipients, message = self._arrived.get(timeout=DELIVERY_SECONDS)
        except queue.Empty:
            raise AssertionError(f"no e-mail for {address} within {DELIVERY_SECONDS} s") from None
        assert recipients == [address]
        return message


def text_of(message: EmailMessage) -> str:
    return message.get_body(("plain",)).get_content()


def html_of(message: EmailMessage) -> str:
    return html.unescape(message.get_body(("html",)).get_content())


def token_in(message: EmailMessage) -> str:
    """The token of the one link that the e-mail leads to, from its text and from its HTML alike."""
    in_text = set(LINK.findall(text_of(message)))
    in_html = set(LINK.findall(html_of(message)))
    assert in_text == in_html, "text and HTML lead to different places"
    assert len(in_text) == 1, f"the e-mail has {len(in_text)} set-up links"
    return in_text.pop()
