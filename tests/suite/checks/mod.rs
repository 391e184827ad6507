//! Checks that wait together are answered together, and never from the past. What the queue itself does is shown in
//! `src/store/access/desk/tests.rs`.

mod late;
mod strict;
mod together;
mod use_times;

use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use v1::check_access_request::{Requirement, Subject};

use crate::support::{As, ok};

/// Whether the session may do what an Agent may, as a service asks.
fn about(token: &str) -> v1::CheckAccessRequest {
    v1::CheckAccessRequest {
        subject: Some(Subject::SessionToken(token.to_owned())),
        requirement: Some(Requirement::MinimumRole(Role::Agent.number())),
    }
}

/// What a check says: the role, or why not.
async fn check(desk: &As, token: &str) -> String {
    said(&ok(desk.access().check_access(about(token)).await))
}

fn said(answer: &v1::CheckAccessResponse) -> String {
    match &answer.denial {
        None => answer.role().as_str_name().to_owned(),
        Some(denial) => denial.reason().as_str_name().to_owned(),
    }
}
