"""Refusals, as a client in another language decodes them."""

import uuid

import grpc
from rolecall.v1 import access_service_pb2 as access
from rolecall.v1 import authorization_pb2 as authorization
from rolecall.v1 import error_reason_pb2 as errors
from rolecall.v1 import invitation_service_pb2 as invitations
from rolecall.v1 import session_service_pb2 as sessions
from rolecall.v1 import user_service_pb2 as users

from support.client import bearer, nobody, refusal_of

AGENT = authorization.ROLE_AGENT


def test_a_call_without_a_credential_is_told_so(client, server):
    refused = refusal_of(client.sessions.GetSession, sessions.GetSessionRequest(), **nobody())
    assert refused.code == grpc.StatusCode.UNAUTHENTICATED
    assert refused.reason == "CREDENTIAL_MISSING"


def test_a_role_too_low_names_the_role_that_would_do(client, office):
    ana = office.join("ana@acme.example", AGENT, "Ana Agent")
    refused = refusal_of(client.users.ListUsers, users.ListUsersRequest(), **ana.credential)
    assert refused.code == grpc.StatusCode.PERMISSION_DENIED
    assert refused.reason == "ROLE_TOO_LOW"
    assert refused.metadata == {"requiredRole": "ADMIN", "actualRole": "AGENT"}


def test_every_bad_field_is_named_at_once(client, office):
    request = invitations.CreateInvitationRequest(email="not an address", role=authorization.ROLE_UNSPECIFIED)
    refused = refusal_of(client.invitations.CreateInvitation, request, **office.owner.credential)
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "FIELD_INVALID"
    assert set(refused.fields) == {"email", "role"}
    assert_field_reasons_are_in_the_contract(refused)


def test_a_refused_password_says_why_and_leaves_the_invitation_as_it_was(client, office):
    token = office.invite("ana@acme.example", AGENT)
    request = invitations.AcceptInvitationRequest(invitation_token=token, display_name="", password="too short")
    refused = refusal_of(client.invitations.AcceptInvitation, request, **nobody())
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.fields["password"] == "PASSWORD_TOO_SHORT"
    assert "display_name" in refused.fields
    assert_field_reasons_are_in_the_contract(refused)

    preview = invitations.PreviewInvitationRequest(invitation_token=token)
    assert client.invitations.PreviewInvitation(preview, **nobody()).email == "ana@acme.example"


def test_the_last_owner_cannot_be_demoted(client, office):
    request = users.ChangeUserRoleRequest(user_id=office.owner.user_id, role=AGENT)
    refused = refusal_of(client.users.ChangeUserRole, request, **office.owner.credential)
    assert refused.code == grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "LAST_OWNER"


def test_a_session_is_refused_where_the_caller_believes_in_another_workspace(client, office):
    right = bearer(office.owner.session_token, rolecall_workspace_id=office.workspace_id)
    assert client.users.ListUsers(users.ListUsersRequest(), **right).users

    wrong = bearer(office.owner.session_token, rolecall_workspace_id=str(uuid.uuid4()))
    refused = refusal_of(client.users.ListUsers, users.ListUsersRequest(), **wrong)
    assert refused.code == grpc.StatusCode.FAILED_PRECONDITION
    assert refused.reason == "WORKSPACE_MISMATCH"

    malformed = bearer(office.owner.session_token, rolecall_workspace_id="acme")
    refused = refusal_of(client.users.ListUsers, users.ListUsersRequest(), **malformed)
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT


def test_a_service_that_guards_another_workspace_denies_the_session(server, client, office):
    key = server.create_service_key("reports", "check-access")
    request = access.CheckAccessRequest(
        session_token=office.owner.session_token, permission=authorization.PERMISSION_REPORTS_VIEW
    )
    elsewhere = server.bootstrap("Elsewhere", "owner@elsewhere.example")["workspace_id"]
    denied = client.access.CheckAccess(request, **bearer(key, rolecall_workspace_id=elsewhere))
    assert not denied.allowed
    assert denied.denial.reason == access.DENIAL_REASON_WRONG_WORKSPACE
    assert (denied.user_id, denied.workspace_id) == ("", "")

    here = client.access.CheckAccess(request, **bearer(key, rolecall_workspace_id=office.workspace_id))
    assert here.allowed


def test_a_service_key_without_the_scope_is_refused(server, client, office):
    key = server.create_service_key("directory", "read-users")
    request = access.CheckAccessRequest(
        session_token=office.owner.session_token, permission=authorization.PERMISSION_REPORTS_VIEW
    )
    refused = refusal_of(client.access.CheckAccess, request, **bearer(key))
    assert refused.code == grpc.StatusCode.PERMISSION_DENIED
    assert refused.reason == "SCOPE_MISSING"
    assert refused.metadata["requiredScope"] == "CHECK_ACCESS"


def test_a_method_that_does_not_exist_is_unimplemented_with_the_same_details(client, server):
    unknown = client.channel.unary_unary("/rolecall.v1.UserService/PromoteEverybody")
    refused = refusal_of(unknown, b"", **nobody())
    assert refused.code == grpc.StatusCode.UNIMPLEMENTED
    assert refused.reason == "METHOD_UNKNOWN"


def assert_field_reasons_are_in_the_contract(refused):
    names = errors.FieldViolationReason.DESCRIPTOR.values_by_name
    known = {name.removeprefix("FIELD_VIOLATION_REASON_") for name in names}
    assert set(refused.fields.values()) <= known - {"UNSPECIFIED"}
