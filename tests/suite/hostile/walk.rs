//! The walk over every field of every request.

use std::collections::BTreeSet;

use prost::Message;
use rolecall::grpc::pb::v1;
use tonic::{Code, Status};

use super::cases::Kind::*;
use super::cases::{Case, Expect, Kind, cases};
use super::cast::{Call, Cast};
use crate::support::{Contract, Dump, Refused, World};

/// What each field is. A field that is not in here is one that nothing hostile has been thrown at.
const FIELDS: [(&str, &str, Kind); 51] = [
    ("ListUsersRequest", "page_size", PageSize),
    ("ListUsersRequest", "page_token", PageToken),
    ("ListUsersRequest", "roles", Enums(4)),
    ("ListUsersRequest", "query", Query),
    ("ListUsersRequest", "include_removed", Flag),
    ("GetUserRequest", "user_id", Id(Code::NotFound, "USER_NOT_FOUND")),
    ("BatchGetUsersRequest", "user_ids", Ids),
    ("UpdateProfileRequest", "display_name", OptionalName),
    ("ChangeUserRoleRequest", "user_id", Id(Code::NotFound, "USER_NOT_FOUND")),
    ("ChangeUserRoleRequest", "role", Enum(4)),
    ("RemoveUserRequest", "user_id", Id(Code::NotFound, "USER_NOT_FOUND")),
    ("CreateInvitationRequest", "email", Email),
    ("CreateInvitationRequest", "role", Enum(4)),
    ("CreateInvitationRequest", "request_id", RequestId),
    ("ListInvitationsRequest", "page_size", PageSize),
    ("ListInvitationsRequest", "page_token", PageToken),
    ("ListInvitationsRequest", "states", Enums(4)),
    ("GetInvitationRequest", "invitation_id", Id(Code::NotFound, "INVITATION_NOT_FOUND")),
    ("ResendInvitationRequest", "invitation_id", Id(Code::NotFound, "INVITATION_NOT_FOUND")),
    ("ResendInvitationRequest", "request_id", RequestId),
    ("CancelInvitationRequest", "invitation_id", Id(Code::NotFound, "INVITATION_NOT_FOUND")),
    ("PreviewInvitationRequest", "invitation_token", InvitationToken),
    ("AcceptInvitationRequest", "invitation_token", InvitationToken),
    ("AcceptInvitationRequest", "display_name", Name),
    ("AcceptInvitationRequest", "password", NewPassword("marguerite.lindqvist@acme.example")),
    ("SignInRequest", "email", Email),
    ("SignInRequest", "password", Password(Code::Unauthenticated, "INVALID_CREDENTIALS")),
    ("SignInRequest", "workspace_id", OptionalId(Code::PermissionDenied, "NOT_A_MEMBER")),
    ("SignInRequest", "device_token", Ignored),
    ("SwitchWorkspaceRequest", "workspace_id", Id(Code::PermissionDenied, "NOT_A_MEMBER")),
    ("ListSessionsRequest", "page_size", PageSize),
    ("ListSessionsRequest", "page_token", PageToken),
    ("RevokeSessionRequest", "session_id", Id(Code::NotFound, "SESSION_NOT_FOUND")),
    ("ReauthenticateRequest", "password", Password(Code::PermissionDenied, "PASSWORD_WRONG")),
    ("ChangePasswordRequest", "current_password", Password(Code::PermissionDenied, "PASSWORD_WRONG")),
    ("ChangePasswordRequest", "new_password", NewPassword("owner@acme.example")),
    ("RequestPasswordResetRequest", "email", Email),
    ("ResetPasswordRequest", "reset_token", ResetToken),
    ("ResetPasswordRequest", "new_password", NewPassword("gil@acme.example")),
    ("CreateWorkspaceRequest", "name", Name),
    ("CreateWorkspaceRequest", "owner_email", Email),
    ("CreateWorkspaceRequest", "request_id", RequestId),
    ("ListWorkspacesRequest", "page_size", PageSize),
    ("ListWorkspacesRequest", "page_token", PageToken),
    ("UpdateWorkspaceRequest", "name", OptionalName),
    ("CheckAccessRequest", "session_token", SubjectToken),
    ("CheckAccessRequest", "user_id", Id(Code::Ok, "")),
    ("CheckAccessRequest", "permission", Enum(14)),
    ("CheckAccessRequest", "minimum_role", Enum(4)),
    ("BatchCheckAccessRequest", "checks", Checks),
    ("ListAuditEventsRequest", "page_size", PageSize),
];

/// As [`FIELDS`], of the audit log.
const AUDIT_FIELDS: [(&str, &str, Kind); 6] = [
    ("ListAuditEventsRequest", "page_token", PageToken),
    ("ListAuditEventsRequest", "actions", Enums(22)),
    ("ListAuditEventsRequest", "actor_user_id", OptionalId(Code::Ok, "")),
    ("ListAuditEventsRequest", "target_user_id", OptionalId(Code::Ok, "")),
    ("ListAuditEventsRequest", "start_time", Moment),
    ("ListAuditEventsRequest", "end_time", Moment),
];

fn kind_of(message: &str, field: &str) -> Option<Kind> {
    let mut all = FIELDS.iter().chain(&AUDIT_FIELDS);
    all.find(|(of, name, _)| (*of, *name) == (message, field)).map(|(_, _, kind)| *kind)
}

#[tokio::test]
async fn every_field_of_every_method_has_hostile_cases() {
    let world = World::start().await;
    let cast = Cast::gather(&world).await;
    let contract = Contract::read();
    let called: BTreeSet<(&str, &str)> = cast.calls().iter().map(|call| (call.service, call.method)).collect();
    let mut listed: BTreeSet<(&str, &str)> = FIELDS.iter().chain(&AUDIT_FIELDS).map(|(of, f, _)| (*of, *f)).collect();
    let mut missing = Vec::new();
    for method in &contract.methods {
        let fields = &contract.messages[&method.request];
        if !fields.is_empty() && !called.contains(&(method.service.as_str(), method.name.as_str())) {
            missing.push(method.path());
        }
        for field in fields {
            if kind_of(&method.request, &field.name).is_none() {
                missing.push(format!("{}.{}", method.request, field.name));
            }
            listed.remove(&(method.request.as_str(), field.name.as_str()));
        }
    }
    assert_eq!(missing, Vec::<String>::new(), "nothing hostile is thrown at these");
    assert!(listed.is_empty(), "these do not exist: {listed:?}");
    world.stop().await;
}

#[tokio::test]
async fn a_hostile_field_is_one_clear_error_and_changes_nothing() {
    let world = World::start().await;
    let cast = Cast::gather(&world).await;
    let contract = Contract::read();
    let database = world.outside().await;
    let mut wrong = Vec::new();
    for call in cast.calls() {
        let request = &contract.method(call.service, call.method).request;
        let mails = world.mails().len();
        let mut before = Dump::of(&database).await;
        for field in &contract.messages[request] {
            let kind = kind_of(request, &field.name).unwrap();
            let mut nobody: Option<(&str, Answer)> = None;
            for case in cases(field, kind, &cast) {
                let at = format!("{}.{} {} ({:?})", call.method, field.name, case.what, preview(&case));
                let message = if case.alone { case.wire.clone() } else { [&call.message[..], &case.wire].concat() };
                let answer = send(&world, &cast, &call, message).await;
                if let Some(problem) = judge(&answer, &case.expect, &field.name) {
                    wrong.push(format!("{at}: {problem}"));
                }
                if let (Expect::Nobody(..), Err(status)) = (&case.expect, &answer) {
                    let known = nobody.get_or_insert((case.what, Err(status.clone())));
                    if bytes_of(known.1.as_ref().unwrap_err()) != bytes_of(status) {
                        wrong.push(format!("{at}: it is told from {}", known.0));
                    }
                }
                let after = Dump::of(&database).await;
                if after != before && answer.is_err() {
                    wrong.push(format!("{at}: it changed {:?}", after.since(&before)));
                }
                before = after;
            }
        }
        world.deliver().await;
        if mails != world.mails().len() {
            wrong.push(format!("{}: a refused call sent mail", call.method));
        }
        // What was thrown was refused for what it was and not because nothing would have worked; and what a later version
        // may add to a message is no reason to refuse it.
        let unknown_field = [0xfa, 0x3e, 0x01, b'x'];
        if let Err(status) = send(&world, &cast, &call, [&call.message[..], &unknown_field].concat()).await {
            wrong.push(format!("{}: the good call was refused: {status:?}", call.method));
        }
        world.deliver().await;
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    world.stop().await;
}

#[tokio::test]
async fn all_bad_fields_are_named_at_once() {
    let world = World::start().await;
    let cast = Cast::gather(&world).await;
    let contract = Contract::read();
    let database = world.outside().await;
    let before = Dump::of(&database).await;
    for call in cast.calls() {
        let request = &contract.method(call.service, call.method).request;
        // Once with the first bad value of each field, which for most is none at all, and once with the last.
        for last in [false, true] {
            let (mut message, mut expected) = (call.message.clone(), BTreeSet::new());
            for field in &contract.messages[request] {
                // Of these two only one can be set at a time.
                if field.name == "permission" {
                    continue;
                }
                let mut bad: Vec<(Vec<u8>, String)> = Vec::new();
                for case in cases(field, kind_of(request, &field.name).unwrap(), &cast) {
                    if let (false, Expect::Field(at, _)) = (case.alone, &case.expect) {
                        bad.push((case.wire, format!("{}{at}", field.name)));
                    }
                }
                // Two huge ones would be more than a message may have.
                bad.retain(|(wire, _)| wire.len() < 10_000);
                let chosen = if last { bad.pop() } else { bad.into_iter().next() };
                if let Some((wire, at)) = chosen {
                    message.extend(wire);
                    expected.insert(at);
                }
            }
            if expected.is_empty() {
                continue;
            }
            let status = send(&world, &cast, &call, message).await.unwrap_err();
            let refused = Refused::from_status(&status);
            let named: BTreeSet<String> = refused.fields.iter().map(|(field, _)| field.clone()).collect();
            assert_eq!((refused.reason(), &named), ("FIELD_INVALID", &expected), "{}", call.method);
            for field in &expected {
                assert!(refused.message.contains(field.as_str()), "{}: {}", call.method, refused.message);
            }
        }
    }
    assert_eq!(Dump::of(&database).await.since(&before), Vec::<String>::new());
    world.stop().await;
}

type Answer = Result<Vec<u8>, Status>;

async fn send(world: &World, cast: &Cast, call: &Call, message: Vec<u8>) -> Answer {
    let path = format!("/rolecall.v1.{}/{}", call.service, call.method);
    let answer = cast.by(world, call.who).raw(&path, message).await;
    answer.map(tonic::Response::into_inner)
}

/// All that a client gets to see of an error, but for the moment.
pub fn bytes_of(status: &Status) -> (Code, String, Vec<u8>, Vec<String>) {
    let mut metadata: Vec<String> = status.metadata().iter().map(|entry| format!("{entry:?}")).collect();
    metadata.retain(|entry| !entry.contains("\"date\""));
    metadata.sort();
    (status.code(), status.message().to_owned(), status.details().to_vec(), metadata)
}

/// What is wrong with an answer, if anything is.
fn judge(answer: &Answer, expect: &Expect, field: &str) -> Option<String> {
    let status = match (answer, expect) {
        (Ok(_), Expect::Fine) => return None,
        (Ok(bytes), Expect::Denied) => {
            let answer = v1::CheckAccessResponse::decode(&bytes[..]).unwrap();
            let denial = answer.denial.unwrap_or_default();
            let ended = !answer.allowed && denial.reason() == v1::DenialReason::SessionEnded;
            return (!ended || !answer.user_id.is_empty()).then(|| format!("it answered allowed = {}", answer.allowed));
        }
        (Ok(_), _) => return Some("it was not refused".to_owned()),
        (Err(status), _) => status,
    };
    if status.details().is_empty() {
        return Some(format!("it broke: {status:?}"));
    }
    let refused = Refused::from_status(status);
    if let Some(leak) = ["SELECT", "sqlx", "sqlite", "postgres", "/tmp", ".rs", "127.0.0.1"]
        .iter()
        .find(|w| refused.message.contains(**w))
    {
        return Some(format!("it says {leak}"));
    }
    let got = (refused.code, refused.reason());
    let right = match expect {
        Expect::Field(at, reason) => {
            got == (Code::InvalidArgument, "FIELD_INVALID")
                && refused.fields == [(format!("{field}{at}"), (*reason).to_owned())]
        }
        Expect::Refused(code, reason) | Expect::Nobody(code, reason) => got == (*code, reason),
        Expect::Undecodable => got == (Code::Internal, "MESSAGE_MALFORMED"),
        Expect::Fine | Expect::Denied => false,
    };
    (!right).then(|| format!("{got:?} {:?}, not {expect:?}", refused.fields))
}

fn preview(case: &Case) -> String {
    String::from_utf8_lossy(&case.wire).chars().take(40).collect()
}
