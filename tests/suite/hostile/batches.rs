//! A batch with several things wrong with it.

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use v1::check_access_request::{Requirement, Subject};

use crate::support::{As, Refused, World, refused};

async fn ask(by: &As, subjects: Vec<Option<Subject>>) -> Refused {
    let requirement = Some(Requirement::Permission(1));
    let check = |subject| v1::CheckAccessRequest { subject, requirement };
    let request = v1::BatchCheckAccessRequest { checks: subjects.into_iter().map(check).collect() };
    refused(by.access().batch_check_access(request).await)
}

fn named(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(field, reason)| ((*field).to_owned(), (*reason).to_owned())).collect()
}

#[tokio::test]
async fn every_check_whose_subject_does_not_fit_its_caller_is_named_before_the_missing_workspace() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let key = world.with_token(&world.service_key("gateway", ServiceScope::ALL, None).await);
    let token = || Some(Subject::SessionToken(owner.token.clone()));
    let user = || Some(Subject::UserId(owner.user_id.clone()));

    let by_key = ask(&key, vec![user(), None, token(), None]).await;
    let both = named(&[("checks[1].subject", "REQUIRED"), ("checks[3].subject", "REQUIRED")]);
    assert_eq!((by_key.reason(), &by_key.fields), ("FIELD_INVALID", &both));
    let by_session = ask(&world.by(&owner), vec![token(), None, user()]).await;
    let both = named(&[("checks[0].subject", "NOT_ALLOWED"), ("checks[2].subject", "NOT_ALLOWED")]);
    assert_eq!((by_session.reason(), &by_session.fields), ("FIELD_INVALID", &both));
    // However many there are, the error is of a size that every client takes.
    assert_eq!(ask(&world.by(&owner), vec![token(); 100]).await.fields.len(), 32);
    assert_eq!(ask(&key, vec![None; 100]).await.fields.len(), 32);
    assert_eq!(ask(&key, vec![token(), user()]).await.reason(), "WORKSPACE_REQUIRED");
    world.stop().await;
}
