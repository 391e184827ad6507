//! An id that belongs to another workspace is answered byte for byte as one that does not exist.

use prost::Message;
use rolecall::authz::Permission;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Status;
use v1::check_access_request::{Requirement, Subject};

use super::stage::{Stage, UNKNOWN, UNKNOWN_V7};
use crate::support::{World, contract};

/// A field that holds an id, and how a message is made with one.
struct Field {
    /// `UserService.GetUser`
    method: &'static str,
    /// `user_id`
    name: &'static str,
    message: fn(&str) -> Vec<u8>,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    User,
    Invitation,
    Session,
    Workspace,
}

impl Kind {
    fn foreign(self, stage: &Stage) -> &str {
        match self {
            Kind::User => &stage.stranger.user_id,
            Kind::Invitation => &stage.foreign.id,
            Kind::Session => &stage.stranger.session_id,
            Kind::Workspace => &stage.gamma,
        }
    }
}

fn fields() -> Vec<Field> {
    let field = |method, name, kind, message| Field { method, name, kind, message };
    vec![
        field("UserService.GetUser", "user_id", Kind::User, |id| {
            v1::GetUserRequest { user_id: id.into() }.encode_to_vec()
        }),
        field("UserService.BatchGetUsers", "user_ids", Kind::User, |id| {
            v1::BatchGetUsersRequest { user_ids: vec![id.into()] }.encode_to_vec()
        }),
        field("UserService.ChangeUserRole", "user_id", Kind::User, |id| {
            v1::ChangeUserRoleRequest { user_id: id.into(), role: Role::Owner.number() }.encode_to_vec()
        }),
        field("UserService.RemoveUser", "user_id", Kind::User, |id| {
            v1::RemoveUserRequest { user_id: id.into() }.encode_to_vec()
        }),
        field("InvitationService.GetInvitation", "invitation_id", Kind::Invitation, |id| {
            v1::GetInvitationRequest { invitation_id: id.into() }.encode_to_vec()
        }),
        field("InvitationService.ResendInvitation", "invitation_id", Kind::Invitation, |id| {
            v1::ResendInvitationRequest { invitation_id: id.into(), ..Default::default() }.encode_to_vec()
        }),
        field("InvitationService.CancelInvitation", "invitation_id", Kind::Invitation, |id| {
            v1::CancelInvitationRequest { invitation_id: id.into() }.encode_to_vec()
        }),
        field("SessionService.SignIn", "workspace_id", Kind::Workspace, |id| {
            let (email, password) = ("target-agent@acme.example".into(), super::stage::password());
            v1::SignInRequest { email, password, workspace_id: id.into(), ..Default::default() }.encode_to_vec()
        }),
        field("SessionService.SwitchWorkspace", "workspace_id", Kind::Workspace, |id| {
            v1::SwitchWorkspaceRequest { workspace_id: id.into() }.encode_to_vec()
        }),
        field("SessionService.RevokeSession", "session_id", Kind::Session, |id| {
            v1::RevokeSessionRequest { session_id: id.into() }.encode_to_vec()
        }),
        field("AccessService.CheckAccess", "user_id", Kind::User, |id| check(id).encode_to_vec()),
        field("AccessService.BatchCheckAccess", "checks.user_id", Kind::User, |id| {
            v1::BatchCheckAccessRequest { checks: vec![check(id)] }.encode_to_vec()
        }),
        field("AuditService.ListAuditEvents", "actor_user_id", Kind::User, |id| {
            v1::ListAuditEventsRequest { actor_user_id: id.into(), ..Default::default() }.encode_to_vec()
        }),
        field("AuditService.ListAuditEvents", "target_user_id", Kind::User, |id| {
            v1::ListAuditEventsRequest { target_user_id: id.into(), ..Default::default() }.encode_to_vec()
        }),
    ]
}

fn check(user: &str) -> v1::CheckAccessRequest {
    v1::CheckAccessRequest {
        subject: Some(Subject::UserId(user.into())),
        requirement: Some(Requirement::Permission(Permission::ReportsView.number())),
    }
}

#[test]
fn no_request_has_a_field_for_an_id_that_is_not_tried_with_a_foreign_one() {
    let fields = fields();
    for method in contract::methods() {
        for name in id_fields(&method.request) {
            let tried = fields.iter().any(|field| field.method == method.short() && field.name == name);
            assert!(tried, "{}: {name} is not tried", method.short());
        }
    }
}

/// The paths of the fields that hold ids of ours. A request id is the caller's own.
fn id_fields(message: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, type_name) in contract::fields(message) {
        if type_name.starts_with(".rolecall.v1.") && type_name.ends_with("Request") {
            found.extend(id_fields(&type_name).into_iter().map(|inner| format!("{name}.{inner}")));
        } else if name != "request_id" && (name.ends_with("_id") || name.ends_with("_ids")) {
            found.push(name);
        }
    }
    found
}

#[tokio::test]
async fn an_id_of_another_workspace_is_answered_byte_for_byte_as_one_that_does_not_exist() {
    let stage = Stage::build().await;
    let world = stage.world().await;
    for field in fields() {
        for caller in ["Agent", "Admin", "Owner", "key", "key, bound", "Owner of Beta", "key of Beta"] {
            if !is_admitted(&stage, field.method, caller) {
                continue;
            }
            let mut answers = Vec::new();
            for id in [UNKNOWN, UNKNOWN_V7, field.kind.foreign(&stage)] {
                let clients = stage.clients(&world, stage.caller(caller), &stage.acme, None);
                answers.push(answer(&clients.call(&contract::path_of(field.method), (field.message)(id)).await, id));
            }
            assert_eq!(answers[0], answers[1], "{} by {caller}: {}", field.method, field.name);
            assert_eq!(answers[0], answers[2], "{} by {caller}: {}", field.method, field.name);
        }
    }
    world.stop().await;
}

/// Whether the rule lets a caller through to the id. Whom it does not is told about roles and scopes only, before the
/// message is looked at.
fn is_admitted(stage: &Stage, method: &str, caller: &str) -> bool {
    let method = contract::methods().into_iter().find(|it| it.short() == method).unwrap();
    match &stage.caller(caller).person {
        _ if method.anyone => true,
        Some(_) => method.minimum_role.is_some_and(|role| role == "AGENT" || caller != "Agent"),
        None => method.service_scope.is_some(),
    }
}

#[tokio::test]
async fn a_workspace_that_is_not_ones_own_is_answered_byte_for_byte_as_one_that_does_not_exist() {
    let stage = Stage::build().await;
    let world = stage.world().await;
    let named = async |world: &World, caller: &str, method: &str, id: &str| {
        let clients = world.with_token(stage.caller(caller).token.as_ref().unwrap()).in_workspace(id);
        answer(&clients.call(&contract::path_of(method), Vec::new()).await, id)
    };
    for (caller, code) in [("Owner", tonic::Code::FailedPrecondition), ("key, bound", tonic::Code::NotFound)] {
        for method in ["UserService.ListUsers", "WorkspaceService.GetWorkspace", "AuditService.ListAuditEvents"] {
            let unknown = named(&world, caller, method, UNKNOWN_V7).await;
            assert_eq!(unknown.code, code, "{method} by {caller}");
            assert_eq!(unknown, named(&world, caller, method, &stage.gamma).await, "{method} by {caller}");
        }
    }
    // To a key that is bound to no workspace every workspace is its own, and the others do not exist.
    let unknown = named(&world, "key", "WorkspaceService.GetWorkspace", UNKNOWN_V7).await;
    assert_eq!(unknown, named(&world, "key, bound", "WorkspaceService.GetWorkspace", &stage.gamma).await);
    world.stop().await;
}

/// All that a caller can see of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    code: tonic::Code,
    message: String,
    details: Vec<u8>,
    /// An answer repeats the id that was asked about; a refusal does not.
    body: Vec<u8>,
    metadata: Vec<String>,
}

fn answer(outcome: &Result<Vec<u8>, Status>, id: &str) -> Answer {
    match outcome {
        Ok(body) => Answer {
            code: tonic::Code::Ok,
            message: String::new(),
            details: Vec::new(),
            body: String::from_utf8_lossy(body).replace(id, "the id").into_bytes(),
            metadata: Vec::new(),
        },
        Err(status) => {
            let mut metadata: Vec<String> = status
                .metadata()
                .iter()
                .map(|entry| format!("{entry:?}"))
                .filter(|it| !it.contains("\"date\""))
                .collect();
            metadata.sort();
            let (message, details) = (status.message().to_owned(), status.details().to_vec());
            Answer { code: status.code(), message, details, body: Vec::new(), metadata }
        }
    }
}
