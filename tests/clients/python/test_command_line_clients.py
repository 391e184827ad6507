"""grpcurl and `buf curl` against the running server. They know nothing but what reflection tells them."""

import base64
import json
import re

from google.protobuf import json_format
from google.rpc import error_details_pb2
from rolecall.v1 import authorization_pb2 as authorization
from rolecall.v1 import invitation_pb2 as invitation
from rolecall.v1 import invitation_service_pb2 as invitations
from rolecall.v1 import session_service_pb2 as sessions

from support import tools


def grpcurl(server, *arguments):
    """grpcurl with its flags before the address and the rest after it, as its usage line has it."""
    split = arguments.index("ADDRESS")
    return [tools.grpcurl(), "-plaintext", *arguments[:split], server.address, *arguments[split + 1 :]]


def buf_curl(server, method, *arguments):
    return [
        *(tools.buf(), "curl", "--protocol", "grpc", "--http2-prior-knowledge"),
        *arguments,
        f"http://{server.address}/{method}",
    ]


def test_grpcurl_lists_the_services(server, tmp_path):
    listed = tools.output_of(*grpcurl(server, "ADDRESS", "list"), folder=tmp_path).split()
    assert {"rolecall.v1.UserService", "rolecall.v1.AccessService", "grpc.health.v1.Health"} <= set(listed)


def test_grpcurl_describes_a_method_together_with_its_rule(server, tmp_path):
    described = tools.output_of(
        *grpcurl(server, "ADDRESS", "describe", "rolecall.v1.UserService.ListUsers"), folder=tmp_path
    )
    assert re.search(r"rpc ListUsers\b", described)
    assert re.search(r"option \(\.?rolecall\.v1\.authorization\)", described), described
    assert re.search(r"minimum_role:\s*ROLE_ADMIN", described), described
    assert re.search(r"service_scope:\s*SERVICE_SCOPE_READ_USERS", described), described


def test_grpcurl_calls_with_a_session_as_its_credential(server, office, tmp_path):
    header = f"authorization: Bearer {office.owner.session_token}"
    printed = tools.output_of(
        *grpcurl(server, "-H", header, "ADDRESS", "rolecall.v1.SessionService/GetSession"), folder=tmp_path
    )
    answer = json_format.Parse(printed, sessions.GetSessionResponse())
    assert answer.user.user_id == office.owner.user_id
    assert answer.workspace.workspace_id == office.workspace_id
    assert answer.workspace.role == authorization.ROLE_OWNER


def test_grpcurl_shows_the_reason_of_a_refusal(server, office, tmp_path):
    ana = office.join("ana@acme.example", authorization.ROLE_AGENT, "Ana Agent")
    header = f"authorization: Bearer {ana.session_token}"
    done = tools.run(*grpcurl(server, "-H", header, "ADDRESS", "rolecall.v1.UserService/ListUsers"), folder=tmp_path)
    assert done.returncode != 0
    assert "PermissionDenied" in done.stderr
    assert "google.rpc.ErrorInfo" in done.stderr
    assert "ROLE_TOO_LOW" in done.stderr


def test_buf_curl_lists_the_methods(server, tmp_path):
    listed = tools.output_of(
        *(tools.buf(), "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--list-methods"),
        f"http://{server.address}",
        folder=tmp_path,
    ).split()
    assert "rolecall.v1.UserService/ChangeUserRole" in listed


def test_buf_curl_invites_somebody_who_then_gets_the_e_mail(server, office, mailbox, tmp_path):
    printed = tools.output_of(
        *buf_curl(
            server,
            "rolecall.v1.InvitationService/CreateInvitation",
            *("--header", f"authorization: Bearer {office.owner.session_token}"),
            *("--data", json.dumps({"email": "ana@acme.example", "role": "ROLE_AGENT"})),
        ),
        folder=tmp_path,
    )
    created = json_format.Parse(printed, invitations.CreateInvitationResponse()).invitation
    assert created.email == "ana@acme.example"
    assert created.state == invitation.INVITATION_STATE_PENDING
    mailbox.next_for("ana@acme.example")


def test_buf_curl_shows_the_reason_of_a_refusal(server, tmp_path):
    done = tools.run(*buf_curl(server, "rolecall.v1.SessionService/GetSession", "--data", "{}"), folder=tmp_path)
    assert done.returncode != 0
    refusal = json.loads(done.stderr)
    assert refusal["code"] == "unauthenticated"
    details = [detail for detail in refusal["details"] if detail["type"] == "google.rpc.ErrorInfo"]
    assert len(details) == 1
    info = error_details_pb2.ErrorInfo.FromString(base64.b64decode(details[0]["value"] + "=="))
    assert (info.domain, info.reason) == ("rolecall", "CREDENTIAL_MISSING")
