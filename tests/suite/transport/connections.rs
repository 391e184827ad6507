//! How many connections there are, and how long they live.

use std::time::Duration;

use rolecall::config::GrpcConfig;
use tokio::time::timeout;

use super::PATIENCE;
use super::frames::{Client, END_HEADERS, ENHANCE_YOUR_CALM, HEADERS, call, frame};
use crate::support::World;

/// The test bed's own client is connected already.
async fn world(configure: impl FnOnce(&mut GrpcConfig)) -> World {
    World::start_with(|grpc| {
        grpc.limits.shutdown_grace = Duration::ZERO;
        configure(grpc);
    })
    .await
}

#[tokio::test]
async fn a_connection_too_many_is_hung_up_on_and_a_place_comes_free_again() {
    let world = world(|grpc| grpc.limits.max_connections = Some(2)).await;
    let mut second = Client::connect(world.address).await;
    assert!(second.is_greeted().await);
    assert!(!Client::connect(world.address).await.is_greeted().await);
    drop(second);
    // When the server notices is its own affair.
    let again = async { while !Client::connect(world.address).await.is_greeted().await {} };
    timeout(PATIENCE, again).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn an_address_has_its_share_of_connections() {
    let world = world(|grpc| grpc.limits.max_connections_per_address = 2).await;
    let mut second = Client::connect(world.address).await;
    assert!(second.is_greeted().await);
    assert!(!Client::connect(world.address).await.is_greeted().await);
    world.stop().await;
}

#[tokio::test]
async fn a_gateway_has_as_many_connections_as_it_needs() {
    let world = world(|grpc| {
        grpc.limits.max_connections_per_address = 1;
        grpc.trusted_peers = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(world.address).await;
        assert!(client.is_greeted().await);
        clients.push(client);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_connection_of_great_age_is_told_to_go_and_then_closed() {
    let world = world(|grpc| {
        grpc.limits.max_connection_age = Duration::from_millis(100);
        grpc.limits.max_connection_age_grace = Duration::from_millis(300);
    })
    .await;
    let mut client = Client::connect(world.address).await;
    // A call that never ends keeps the connection busy.
    let block = call("/rolecall.v1.SessionService/SignIn", &[]);
    client.send(&frame(HEADERS, END_HEADERS, 1, &block)).await;
    let said = timeout(PATIENCE, client.said_to_the_end()).await.unwrap();
    assert_eq!(said.goaway, Some(0), "{said:?}");
    assert!(said.hung_up);
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_gone() {
    let world = world(|grpc| {
        grpc.limits.keepalive_interval = Duration::from_millis(100);
        grpc.limits.keepalive_timeout = Duration::from_millis(100);
    })
    .await;
    let client = Client::connect(world.address).await;
    let said = timeout(PATIENCE, client.said_to_the_end()).await.unwrap();
    assert!(said.hung_up && said.goaway != Some(ENHANCE_YOUR_CALM), "{said:?}");
    world.stop().await;
}
