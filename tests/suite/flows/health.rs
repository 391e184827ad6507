//! Whether the service says how it is.

use std::fs;

use rolecall::model::Role;
use tonic::transport::Endpoint;
use tonic::{Code, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Place, World, ok, refused};

#[tokio::test]
async fn without_its_database_no_service_serves_and_no_write_is_acknowledged_until_it_is_back() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let channel = Endpoint::from_shared(format!("http://{}", world.address)).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel);
    let mut watched = Vec::new();
    for service in ["", "rolecall.v1.UserService", "rolecall.v1.AccessService"] {
        let request = HealthCheckRequest { service: service.into() };
        let mut watch = health.watch(request).await.unwrap().into_inner();
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving, "{service}");
        watched.push(watch);
    }
    world.place().take_away();
    for watch in &mut watched {
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    }
    let refusal = refused(world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await);
    assert_eq!((refusal.code, refusal.reason()), (Code::Unavailable, "DATABASE_UNAVAILABLE"));
    assert!(refusal.retry_info);
    world.place().bring_back();
    for watch in &mut watched {
        assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    }
    ok(world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await);
}

/// Asks again where connections had ended: each is noticed when it is used.
async fn answered<T>(call: impl AsyncFn() -> Result<Response<T>, Status>) -> T {
    for _ in 0..100 {
        match call().await {
            Err(status) if status.code() == Code::Unavailable => {}
            answer => return ok(answer),
        }
    }
    panic!("it is unavailable for good");
}

#[tokio::test]
async fn a_database_that_may_only_be_read_is_read_and_takes_no_write_until_it_may() {
    let world = World::start_on(Place::on_postgres()).await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    world.place().set_read_only(true);
    let refusal = refused(world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await);
    assert_eq!((refusal.code, refusal.reason()), (Code::Unavailable, "DATABASE_UNAVAILABLE"));
    assert!(refusal.retry_info);
    answered(|| async { world.by(&owner).get_session().await }).await;
    world.place().set_read_only(false);
    answered(|| async { world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await }).await;
}

#[tokio::test]
async fn a_database_that_was_replaced_by_another_file_takes_no_write() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let (file, aside) = (world.place().file(), world.folder().join("aside.db"));
    fs::rename(file, &aside).unwrap();
    fs::copy(&aside, file).unwrap();
    let refusal = refused(world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await);
    assert_eq!((refusal.code, refusal.reason()), (Code::Unavailable, "DATABASE_UNAVAILABLE"));
    fs::rename(&aside, file).unwrap();
    world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await.unwrap();
}
