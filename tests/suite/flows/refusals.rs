//! Refusals for lack of a right are audited, and bounded.

use rolecall::grpc::pb::v1;
use rolecall::model::Role;

use super::{MINUTE, SECOND};
use crate::support::{World, refused};

#[tokio::test]
async fn the_first_refusal_is_recorded_at_once_and_those_of_its_minute_as_one_with_their_count() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let ada = world.join(&owner, "ada@acme.example", Role::Admin).await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let recorded = async || {
        world.app.record_refusals(false).await.unwrap();
        let events = world.by(&ada).events(&[v1::AuditAction::AccessRefused]).await;
        events.into_iter().map(|event| (event.details["method"].clone(), event.repeat_count)).collect::<Vec<_>>()
    };
    let entry = |method: &str, count: i32| (method.to_owned(), count);
    let remove = async || drop(refused(world.by(&gil).remove(&owner.user_id).await));

    remove().await;
    assert_eq!(recorded().await, [entry("UserService.RemoveUser", 1)]);
    let event = world.by(&ada).events(&[v1::AuditAction::AccessRefused]).await.remove(0);
    let details: std::collections::BTreeMap<_, _> =
        event.details.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let expected = [
        ("actualRole", "AGENT"),
        ("method", "UserService.RemoveUser"),
        ("reason", "ROLE_TOO_LOW"),
        ("requiredRole", "ADMIN"),
    ];
    assert_eq!(details, expected.into());
    assert_eq!(event.actor.unwrap().kind, Some(v1::audit_actor::Kind::UserId(gil.user_id.clone())));
    assert_eq!(event.client_address, "127.0.0.1");

    for _ in 0..7 {
        remove().await;
    }
    world.wait(MINUTE - SECOND);
    assert_eq!(recorded().await, [entry("UserService.RemoveUser", 1)]);
    world.wait(SECOND);
    assert_eq!(recorded().await, [entry("UserService.RemoveUser", 7), entry("UserService.RemoveUser", 1)]);
    // Another caller, method or reason is another matter.
    drop(refused(world.by(&ada).remove(&owner.user_id).await));
    drop(refused(world.by(&gil).create_invitation("x@acme.example", Role::Agent).await));
    assert_eq!(recorded().await.len(), 4);
}
