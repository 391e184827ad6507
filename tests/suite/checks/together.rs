//! How many statements there are for how many questions, and what becomes of checks without an answer.

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use v1::check_access_request::{Requirement, Subject};

use super::{about, check, said};
use crate::races::at_once;
use crate::support::{World, ok, refused};

#[tokio::test]
async fn a_batch_is_answered_by_one_statement_whatever_is_asked() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let scopes = [ServiceScope::CheckAccess, ServiceScope::CheckUserAccess];
    let key = world.service_key("desk", &scopes, Some(&owner.workspace_id)).await;
    let user = |id: &str| v1::CheckAccessRequest {
        subject: Some(Subject::UserId(id.to_owned())),
        requirement: Some(Requirement::MinimumRole(Role::Agent.number())),
    };
    let mut checks: Vec<_> = (0..94).map(|n| about(if n % 2 == 0 { &owner.token } else { &gil.token })).collect();
    checks.extend([user(&gil.user_id), user(&owner.user_id), user("00000000-0000-4000-8000-000000000000")]);
    checks.extend([about("rcs_malformed"), about(&key), about("")]);
    let before = world.store.access_figures().batch_size;
    let answers = ok(world.with_token(&key).access().batch_check_access(v1::BatchCheckAccessRequest { checks }).await);
    let after = world.store.access_figures().batch_size;
    let said: Vec<String> = answers.results.iter().map(said).collect();
    for (index, said) in said[..94].iter().enumerate() {
        assert_eq!(said, if index % 2 == 0 { "ROLE_OWNER" } else { "ROLE_AGENT" });
    }
    assert_eq!(said[94..97], ["ROLE_AGENT", "ROLE_OWNER", "DENIAL_REASON_NOT_A_MEMBER"]);
    assert_eq!(said[97..], ["DENIAL_REASON_SESSION_ENDED"; 3]);
    // The caller, before the message is read; then the workspace and every subject that can be one.
    assert_eq!(after.count - before.count, 2);
    assert_eq!(after.sum - before.sum, 1 + 1 + 97);
}

#[tokio::test]
async fn the_caller_and_the_subject_of_a_check_are_asked_about_by_one_statement() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let key = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
    let desk = world.with_token(&key);
    let before = world.store.access_figures().batch_size;
    for _ in 0..50 {
        assert_eq!(check(&desk, &owner.token).await, "ROLE_OWNER");
    }
    let after = world.store.access_figures().batch_size;
    assert_eq!((after.count - before.count, after.sum - before.sum), (50, 2 * 50));
}

#[tokio::test]
async fn a_check_without_a_database_is_an_error_and_neither_a_denial_nor_a_permission() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let key = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
    let desk = world.with_token(&key);
    assert_eq!(check(&desk, &owner.token).await, "ROLE_OWNER");
    world.place().take_away();
    let checks = (0..20).map(|_| {
        let (desk, token) = (desk.clone(), owner.token.clone());
        async move { desk.access().check_access(about(&token)).await }
    });
    for outcome in at_once(checks.collect()).await {
        let refusal = refused(outcome);
        assert_eq!(refusal.reason(), "DATABASE_UNAVAILABLE");
    }
    world.place().bring_back();
    // Connections that had ended are noticed when they are used.
    let mut answers = Vec::new();
    while answers.len() < 100 && !answers.last().is_some_and(Result::is_ok) {
        answers.push(desk.access().check_access(about(&owner.token)).await);
    }
    assert_eq!(said(&ok(answers.pop().unwrap())), "ROLE_OWNER");
    for outcome in answers {
        assert_eq!(refused(outcome).reason(), "DATABASE_UNAVAILABLE");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn checks_that_are_given_up_take_nobody_along() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let key = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
    let desk = world.with_token(&key);
    for round in 0..40_usize {
        let asking = |_| {
            let (desk, token) = (desk.clone(), owner.token.clone());
            tokio::spawn(async move { check(&desk, &token).await })
        };
        let (given_up, stay): (Vec<_>, Vec<_>) = ((0..16).map(asking).collect(), (0..16).map(asking).collect());
        crate::races::yields(round * 7).await;
        given_up.iter().for_each(tokio::task::JoinHandle::abort);
        for check in stay {
            assert_eq!(check.await.unwrap(), "ROLE_OWNER");
        }
    }
}
