//! Known failures of such systems: two tenants in one request, and a client that says where it comes from.

use rolecall::authz::{Permission, ServiceScope};
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use v1::check_access_request::{Requirement, Subject};

use crate::support::{Contract, PASSWORD, Refused, World, contract, ok};

/// The requests that hold more than one id of ours. Each is tried below with ids of two workspaces.
const WITH_TWO: [&str; 3] = ["BatchCheckAccessRequest", "BatchGetUsersRequest", "ListAuditEventsRequest"];

/// How many ids of ours a request can hold; 2 for any number of them.
fn ids_in(message: &str) -> usize {
    let mut count = 0;
    for field in &Contract::read().messages[message] {
        let is_id = field.name != "request_id" && (field.name.ends_with("_id") || field.name.ends_with("_ids"));
        let inner =
            contract::fields(&format!(".rolecall.v1.{message}")).into_iter().find(|it| it.0 == field.name).unwrap().1;
        let of_requests = inner.ends_with("Request");
        count += usize::from(is_id || of_requests) * if field.repeated { 2 } else { 1 };
    }
    count
}

#[tokio::test]
async fn ids_of_two_workspaces_in_one_request_never_meet() {
    let mut with_two: Vec<String> =
        Contract::read().methods.into_iter().map(|method| method.request).filter(|name| ids_in(name) > 1).collect();
    with_two.sort();
    assert_eq!(with_two, WITH_TWO, "a request with two ids is new");

    let world = World::start().await;
    let olga = world.workspace("Acme", "olga@acme.example").await;
    let gil = world.join(&olga, "gil@acme.example", Role::Agent).await;
    let zoe = world.workspace("Zeta", "zoe@zeta.example").await;
    let by = world.by(&olga);

    let user_ids = vec![zoe.user_id.clone(), gil.user_id.clone(), zoe.user_id.clone(), olga.user_id.clone()];
    let users = ok(by.users().batch_get_users(v1::BatchGetUsersRequest { user_ids }).await).users;
    let found: Vec<&str> = users.iter().map(|user| user.user_id.as_str()).collect();
    assert_eq!(found, [&gil.user_id, &olga.user_id]);

    for (actor, target) in [(&zoe, &gil), (&olga, &zoe), (&zoe, &zoe)] {
        let request = v1::ListAuditEventsRequest {
            actor_user_id: actor.user_id.clone(),
            target_user_id: target.user_id.clone(),
            ..Default::default()
        };
        assert_eq!(ok(by.audit().list_audit_events(request).await).events, []);
    }

    let scopes = [ServiceScope::CheckAccess, ServiceScope::CheckUserAccess];
    let key = world.service_key("gateway", &scopes, Some(&olga.workspace_id)).await;
    let check = |subject| v1::CheckAccessRequest {
        subject: Some(subject),
        requirement: Some(Requirement::Permission(Permission::ConversationsReply.number())),
    };
    let checks = vec![
        check(Subject::SessionToken(zoe.token.clone())),
        check(Subject::SessionToken(gil.token.clone())),
        check(Subject::UserId(zoe.user_id.clone())),
        check(Subject::UserId(gil.user_id.clone())),
    ];
    let results =
        ok(world.with_token(&key).access().batch_check_access(v1::BatchCheckAccessRequest { checks }).await).results;
    let says = |at: usize| {
        let result: &v1::CheckAccessResponse = &results[at];
        let reason = result.denial.as_ref().map(|denial| denial.reason().as_str_name().to_owned());
        (result.allowed, reason, result.user_id.clone(), result.workspace_id.clone())
    };
    let denied = |reason: &str| (false, Some(format!("DENIAL_REASON_{reason}")));
    let allowed = (true, None, gil.user_id.clone(), gil.workspace_id.clone());
    assert_eq!((says(0).0, says(0).1), denied("WRONG_WORKSPACE"));
    assert_eq!((says(0).2.as_str(), says(0).3.as_str()), ("", ""));
    assert_eq!(says(1), allowed);
    assert_eq!((says(2).0, says(2).1), denied("NOT_A_MEMBER"));
    assert!(!format!("{:?}", results[2]).contains(&zoe.workspace_id));
    assert_eq!(says(3), allowed);
    world.stop().await;
}

#[tokio::test]
async fn a_forged_proxy_header_buys_no_more_guesses_and_writes_no_address() {
    let world = World::start_throttled(|_| {}).await;
    let olga = world.workspace("Acme", "olga@acme.example").await;
    let forging = |number: usize| {
        let address = format!("203.0.{number}.7");
        let mut forging = world.nobody();
        for key in [
            "x-forwarded-for",
            "x-real-ip",
            "cf-connecting-ip",
            "true-client-ip",
            "x-client-ip",
            "x-envoy-external-address",
            "rolecall-client-address",
        ] {
            forging = forging.and(key, &address);
        }
        forging.and("forwarded", &format!("for={address}")).and("rolecall-client-user-agent", "forged")
    };
    let signed_in = ok(forging(0).sign_in(&olga.email, PASSWORD, "").await);
    let session = signed_in.session.unwrap();
    assert_eq!(session.client_address, "127.0.0.1");
    assert_ne!(session.user_agent, "forged");
    let guess = async |number: usize| {
        let email = format!("p{number}@acme.example");
        Refused::from_status(&forging(number).sign_in(&email, "granite pillow 19 comet", "").await.unwrap_err()).reason
    };
    for number in 0..100 {
        assert_eq!(guess(number).await, "INVALID_CREDENTIALS");
    }
    // The hundred of the network that they all come from are used up.
    assert_eq!(guess(100).await, "TOO_MANY_ATTEMPTS");
    let events = format!("{:?}", world.by(&olga).events(&[]).await);
    assert!(events.contains("127.0.0.1") && !events.contains("203.0."), "{events}");
    world.stop().await;
}
