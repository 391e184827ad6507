use prost::Message;
use rolecall::authz::{Permission, ServiceScope};
use rolecall::grpc::pb::v1;
use v1::check_access_request::{Requirement, Subject};

use super::{Row, row};
use crate::access_matrix::stage::{Stage, UNKNOWN};

type Who = fn(&Stage) -> Option<Subject>;

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (target, who, permission, by_user) in questions() {
        let row = row("AccessService.CheckAccess", target, move |stage, _| question(who(stage), permission));
        let row = row.with_note(|bytes| note(&v1::CheckAccessResponse::decode(bytes).unwrap()));
        rows.push(if by_user { row.lacking(ServiceScope::CheckUserAccess) } else { row });
    }
    rows.extend(batches());
    rows
}

/// What is asked: a name for the table, about whom, what they want to do, and whether it is by user id.
fn questions() -> Vec<(&'static str, Who, Permission, bool)> {
    let reply = Permission::ConversationsReply;
    let reports = Permission::ReportsView;
    vec![
        ("oneself: CONVERSATIONS_REPLY", (|_| None) as Who, reply, false),
        ("oneself: REPORTS_VIEW", |_| None, reports, false),
        ("oneself: USERS_MANAGE", |_| None, Permission::UsersManage, false),
        ("oneself: OWNERS_MANAGE", |_| None, Permission::OwnersManage, false),
        ("token of an Agent: CONVERSATIONS_REPLY", |stage| token(&stage.agent.token), reply, false),
        ("token of an Agent: REPORTS_VIEW", |stage| token(&stage.agent.token), reports, false),
        ("token of someone of Gamma: REPORTS_VIEW", |stage| token(&stage.stranger.token), reports, false),
        ("token of someone removed: REPORTS_VIEW", |stage| token(&stage.gone.token), reports, false),
        ("garbage for a token: REPORTS_VIEW", |_| token("garbage"), reports, false),
        ("id of an Agent: CONVERSATIONS_REPLY", |stage| user(&stage.agent.user_id), reply, true),
        ("id of an Agent: REPORTS_VIEW", |stage| user(&stage.agent.user_id), reports, true),
        ("id of someone removed: REPORTS_VIEW", |stage| user(&stage.gone.user_id), reports, true),
        ("an unknown id: REPORTS_VIEW", |_| user(UNKNOWN), reports, true),
        ("id of someone of Gamma: REPORTS_VIEW", |stage| user(&stage.stranger.user_id), reports, true),
    ]
}

fn batches() -> [Row; 3] {
    let method = "AccessService.BatchCheckAccess";
    let note: fn(&[u8]) -> String = |bytes| {
        let results = v1::BatchCheckAccessResponse::decode(bytes).unwrap().results;
        results.iter().map(note).collect::<Vec<_>>().join(", ")
    };
    let reply = Permission::ConversationsReply;
    let reports = Permission::ReportsView;
    [
        row(method, "oneself, both", move |_, _| v1::BatchCheckAccessRequest {
            checks: vec![question(None, reply), question(None, reports)],
        })
        .with_note(note),
        row(method, "token of an Agent, both", move |stage, _| v1::BatchCheckAccessRequest {
            checks: [reply, reports].map(|permission| question(token(&stage.agent.token), permission)).to_vec(),
        })
        .with_note(note),
        row(method, "token of an Agent, id of an Agent", move |stage, _| v1::BatchCheckAccessRequest {
            checks: vec![question(token(&stage.agent.token), reply), question(user(&stage.agent.user_id), reply)],
        })
        .with_note(note)
        .lacking(ServiceScope::CheckUserAccess),
    ]
}

fn question(subject: Option<Subject>, permission: Permission) -> v1::CheckAccessRequest {
    v1::CheckAccessRequest { subject, requirement: Some(Requirement::Permission(permission.number())) }
}

fn token(token: &str) -> Option<Subject> {
    Some(Subject::SessionToken(token.to_owned()))
}

fn user(id: &str) -> Option<Subject> {
    Some(Subject::UserId(id.to_owned()))
}

fn note(answer: &v1::CheckAccessResponse) -> String {
    assert_eq!(answer.allowed, answer.denial.is_none(), "{answer:?}");
    match &answer.denial {
        None => "allowed".to_owned(),
        Some(denial) => {
            format!("denied {}", denial.reason().as_str_name().trim_start_matches("DENIAL_REASON_"))
        }
    }
}
