"""The job that Rolecall is there for, from the operator's first command to a right taken away."""

import time
from datetime import timedelta

import grpc
from rolecall.v1 import access_service_pb2 as access
from rolecall.v1 import audit_service_pb2 as audit
from rolecall.v1 import authorization_pb2 as authorization
from rolecall.v1 import invitation_pb2 as invitation
from rolecall.v1 import invitation_service_pb2 as invitations
from rolecall.v1 import session_service_pb2 as sessions
from rolecall.v1 import user_pb2 as user
from rolecall.v1 import user_service_pb2 as users

from support.client import bearer, nobody, refusal_of
from support.mailbox import html_of, text_of, token_in
from support.people import OWNER_EMAIL, PASSWORD

WEEK = timedelta(days=7)
AGENT = authorization.ROLE_AGENT
MANAGER = authorization.ROLE_MANAGER
OWNER = authorization.ROLE_OWNER
REPORTS_VIEW = authorization.PERMISSION_REPORTS_VIEW
CONVERSATIONS_REPLY = authorization.PERMISSION_CONVERSATIONS_REPLY


def check(client, service_key, session_token, permission):
    """The question that every other service asks before it lets somebody do something."""
    request = access.CheckAccessRequest(session_token=session_token, permission=permission)
    return client.access.CheckAccess(request, **bearer(service_key))


def change_role(client, caller, person, role):
    request = users.ChangeUserRoleRequest(user_id=person.user_id, role=role)
    return client.users.ChangeUserRole(request, **caller.credential)


def remove(client, caller, person):
    return client.users.RemoveUser(users.RemoveUserRequest(user_id=person.user_id), **caller.credential)


def sign_in(email):
    return sessions.SignInRequest(email=email, password=PASSWORD)


def test_the_operator_sets_up_a_workspace_and_its_owner_signs_in_without_any_mail(server, client, mailbox):
    made = server.bootstrap("Acme", OWNER_EMAIL)
    assert set(made) == {"workspace_id", "invitation_id", "invitation_token", "setup_url"}
    assert made["setup_url"] == f"http://127.0.0.1:8080/setup#token={made['invitation_token']}"

    accepted = client.invitations.AcceptInvitation(
        invitations.AcceptInvitationRequest(
            invitation_token=made["invitation_token"], display_name="Olive Owner", password=PASSWORD
        ),
        **nobody(),
    )
    assert accepted.user.role == OWNER
    assert accepted.session.workspace_id == made["workspace_id"]

    signed_in = client.sessions.SignIn(sign_in(OWNER_EMAIL), **nobody())
    assert signed_in.user.user_id == accepted.user.user_id
    assert signed_in.workspace.workspace_name == "Acme"
    assert signed_in.session_token.startswith("rcs_")
    assert signed_in.session_token != accepted.session_token
    assert mailbox.is_empty()


def test_an_invited_agent_gets_an_e_mail_that_leads_into_the_workspace(client, mailbox, office):
    created = client.invitations.CreateInvitation(
        invitations.CreateInvitationRequest(email="ana@acme.example", role=AGENT), **office.owner.credential
    ).invitation
    assert created.state == invitation.INVITATION_STATE_PENDING
    assert created.invited_by_user_id == office.owner.user_id
    assert created.expire_time.ToDatetime() - created.create_time.ToDatetime() == WEEK

    message = mailbox.next_for("ana@acme.example")
    assert message["To"].addresses[0].addr_spec == "ana@acme.example"
    assert "Acme" in message["Subject"]
    for body in (text_of(message), html_of(message)):
        assert "Olive Owner" in body
        assert "Acme" in body
        assert "Agent" in body
    token = token_in(message)

    seen = client.invitations.PreviewInvitation(
        invitations.PreviewInvitationRequest(invitation_token=token), **nobody()
    )
    assert seen.workspace_name == "Acme"
    assert seen.inviter_display_name == "Olive Owner"
    assert seen.email == "ana@acme.example"
    assert seen.role == AGENT
    assert not seen.account_exists
    assert seen.expire_time == created.expire_time

    accepted = client.invitations.AcceptInvitation(
        invitations.AcceptInvitationRequest(invitation_token=token, display_name="Ana Agent", password=PASSWORD),
        **nobody(),
    )
    signed_in = client.sessions.SignIn(sign_in("ana@acme.example"), **nobody())
    assert signed_in.user.user_id == accepted.user.user_id

    me = client.sessions.GetSession(sessions.GetSessionRequest(), **bearer(signed_in.session_token))
    assert me.user.display_name == "Ana Agent"
    assert me.workspace.role == AGENT
    assert me.workspace.workspace_id == office.workspace_id
    assert CONVERSATIONS_REPLY in me.permissions
    assert REPORTS_VIEW not in me.permissions


def test_an_admin_can_tell_that_the_e_mail_was_sent(client, mailbox, office):
    created = client.invitations.CreateInvitation(
        invitations.CreateInvitationRequest(email="ana@acme.example", role=AGENT), **office.owner.credential
    ).invitation
    mailbox.next_for("ana@acme.example")

    # The mail server has said yes; that Rolecall has written it down may take a moment more.
    request = invitations.GetInvitationRequest(invitation_id=created.invitation_id)
    deadline = time.monotonic() + 30
    delivery = created.delivery
    while delivery.state == invitation.DELIVERY_STATE_QUEUED and time.monotonic() < deadline:
        delivery = client.invitations.GetInvitation(request, **office.owner.credential).invitation.delivery
    assert delivery.state == invitation.DELIVERY_STATE_SENT
    assert delivery.attempt_count == 1
    assert delivery.last_error == ""


def test_another_service_learns_what_a_person_may_do_and_why_not(server, client, office):
    ana = office.join("ana@acme.example", AGENT, "Ana Agent")
    key = server.create_service_key("conversations", "check-access")

    may = check(client, key, ana.session_token, CONVERSATIONS_REPLY)
    assert may.allowed
    assert not may.HasField("denial")
    assert (may.user_id, may.workspace_id, may.role) == (ana.user_id, office.workspace_id, AGENT)

    may_not = check(client, key, ana.session_token, REPORTS_VIEW)
    assert not may_not.allowed
    assert may_not.denial.reason == access.DENIAL_REASON_ROLE_TOO_LOW
    assert may_not.denial.lowest_sufficient_role == MANAGER
    assert may_not.role == AGENT


def test_a_role_change_takes_effect_on_the_very_next_check(server, client, office):
    ana = office.join("ana@acme.example", AGENT, "Ana Agent")
    key = server.create_service_key("reports", "check-access")

    for _ in range(20):
        change_role(client, office.owner, ana, MANAGER)
        assert check(client, key, ana.session_token, REPORTS_VIEW).allowed
        change_role(client, office.owner, ana, AGENT)
        assert not check(client, key, ana.session_token, REPORTS_VIEW).allowed


def test_a_removed_person_is_out_at_once_and_everywhere(server, client, office):
    ana = office.join("ana@acme.example", AGENT, "Ana Agent")
    key = server.create_service_key("conversations", "check-access")
    assert check(client, key, ana.session_token, CONVERSATIONS_REPLY).allowed

    removed = remove(client, office.owner, ana)
    assert removed.user.state == user.USER_STATE_REMOVED
    assert removed.ended_session_count == 1

    denied = check(client, key, ana.session_token, CONVERSATIONS_REPLY)
    assert not denied.allowed
    assert denied.denial.reason == access.DENIAL_REASON_SESSION_ENDED
    assert (denied.user_id, denied.workspace_id) == ("", "")

    refused = refusal_of(client.sessions.GetSession, sessions.GetSessionRequest(), **ana.credential)
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "SESSION_ENDED")

    refused = refusal_of(client.sessions.SignIn, sign_in(ana.email), **nobody())
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_CREDENTIALS")


def test_the_history_still_names_a_removed_person_who_may_come_back_as_the_same_user(client, office):
    ana = office.join("ana@acme.example", AGENT, "Ana Agent")
    change_role(client, office.owner, ana, MANAGER)
    remove(client, office.owner, ana)

    events = client.audit.ListAuditEvents(
        audit.ListAuditEventsRequest(target_user_id=ana.user_id), **office.owner.credential
    ).events
    actions = [event.action for event in events]
    assert actions == [
        audit.AUDIT_ACTION_USER_REMOVED,
        audit.AUDIT_ACTION_USER_ROLE_CHANGED,
        audit.AUDIT_ACTION_INVITATION_ACCEPTED,
    ]
    assert [event.actor.user_id for event in events] == [office.owner.user_id, office.owner.user_id, ana.user_id]
    assert events[0].details["email"] == "ana@acme.example"
    assert dict(events[1].details) == {"role": "MANAGER", "previousRole": "AGENT"}

    named = client.users.GetUser(users.GetUserRequest(user_id=ana.user_id), **office.owner.credential).user
    assert (named.display_name, named.state) == ("Ana Agent", user.USER_STATE_REMOVED)
    assert named.HasField("remove_time")

    back = office.join("ana@acme.example", AGENT, "Somebody Else")
    assert back.user_id == ana.user_id
    refused = refusal_of(client.sessions.GetSession, sessions.GetSessionRequest(), **ana.credential)
    assert refused.reason == "SESSION_ENDED"


def test_everything_is_still_there_after_a_restart(server, client, mailbox, office):
    ana = office.join("ana@acme.example", AGENT, "Ana Agent")
    server.stop()
    server.serve(mailbox.url)

    restarted = type(client)(server.address)
    me = restarted.sessions.GetSession(sessions.GetSessionRequest(), **ana.credential)
    restarted.close()
    assert me.user.user_id == ana.user_id
