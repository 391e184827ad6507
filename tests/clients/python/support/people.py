"""A workspace and the people in it, brought there by the calls that bring them there in earnest."""

from dataclasses import dataclass

from rolecall.v1 import authorization_pb2 as authorization
from rolecall.v1 import invitation_service_pb2 as invitations

from support.client import Client, bearer, nobody
from support.mailbox import Mailbox, token_in
from support.server import Rolecall

OWNER_EMAIL = "owner@acme.example"
PASSWORD = "violet kettle orbit 77 lamp"


@dataclass(frozen=True)
class Person:
    user_id: str
    email: str
    session_token: str

    @property
    def credential(self) -> dict:
        return bearer(self.session_token)


class Office:
    def __init__(self, workspace_id: str, owner: Person, client: Client, mailbox: Mailbox):
        self.workspace_id = workspace_id
        self.owner = owner
        self._client = client
        self._mailbox = mailbox

    @staticmethod
    def open(server: Rolecall, client: Client, mailbox: Mailbox) -> "Office":
        made = server.bootstrap("Acme", OWNER_EMAIL)
        owner = accept(client, made["invitation_token"], "Olive Owner")
        return Office(made["workspace_id"], owner, client, mailbox)

    def invite(self, email: str, role: "authorization.Role") -> str:
        """Has the Owner invite somebody, and answers the token that the e-mail brings them."""
        request = invitations.CreateInvitationRequest(email=email, role=role)
        self._client.invitations.CreateInvitation(request, **self.owner.credential)
        return token_in(self._mailbox.next_for(email))

    def join(self, email: str, role: "authorization.Role", display_name: str) -> Person:
        return accept(self._client, self.invite(email, role), display_name)


def accept(client: Client, invitation_token: str, display_name: str) -> Person:
    accepted = client.invitations.AcceptInvitation(
        invitations.AcceptInvitationRequest(
            invitation_token=invitation_token, display_name=display_name, password=PASSWORD
        ),
        **nobody(),
    )
    return Person(accepted.user.user_id, accepted.user.email, accepted.session_token)
