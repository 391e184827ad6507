//! PostgreSQL killed, frozen, or only to be read; a replica killed.

use std::time::Instant;

use super::SHORT;
use super::probe::{Probe, hurt, settle};
use crate::faults::scene::Scene;
use crate::replicas::Server;
use crate::support::Child;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_killed_and_comes_back_has_lost_nothing_and_is_used_again() {
    let mut server = Server::durable();
    let (mut scene, child) = Scene::set_in(server.place(), SHORT).await;
    let probe = Probe::of(&scene, &child).await;
    for _ in 0..3 {
        let running = scene.run(&child);
        running.calls.answered(60).await;
        server.cluster.kill();
        scene.rest(running).await;
        let seen = probe.away().await;
        server.cluster.resume();
        probe.recovers(&format!("PostgreSQL killed ({seen:?})"), Instant::now()).await;
        settle(&mut scene, &child).await;
    }
    assert_eq!(child.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_frozen_for_longer_than_every_limit_is_used_again_when_it_thaws() {
    let server = Server::durable();
    let (mut scene, child) = Scene::set_in(server.place(), SHORT).await;
    let probe = Probe::of(&scene, &child).await;
    let running = scene.run(&child);
    running.calls.answered(60).await;
    server.cluster.freeze();
    scene.rest(running).await;
    // All clients have waited for as long as a call may take, and that is longer than each limit.
    let seen = probe.away().await;
    server.cluster.thaw();
    probe.recovers(&format!("PostgreSQL frozen ({seen:?})"), Instant::now()).await;
    settle(&mut scene, &child).await;
    assert_eq!(child.terminate(), Some(0));
}

/// Ends all connections of the service, and says what those that come after them may do.
fn set_read_only(server: &Server, value: &str) {
    server.cluster.run("postgres", &format!("ALTER DATABASE rolecall SET default_transaction_read_only = {value}"));
    let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'rolecall'";
    server.cluster.run("postgres", end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_may_only_be_read_answers_checks_and_takes_changes_when_it_may_be_written() {
    let server = Server::durable();
    let (mut scene, child) = Scene::set_in(server.place(), SHORT).await;
    let probe = Probe::of(&scene, &child).await;
    let running = scene.run(&child);
    running.calls.answered(60).await;
    set_read_only(&server, "on");
    hurt(&mut scene, running).await;
    while probe.write().await == "OK" {}
    assert_eq!(probe.write().await, "DATABASE_UNAVAILABLE");
    while probe.serving().await {}
    // What only reads goes on, once the connections are made again.
    while probe.check().await != "OK" {}
    set_read_only(&server, "off");
    probe.recovers("database read-only", Instant::now()).await;
    settle(&mut scene, &child).await;
    assert_eq!(child.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_replica_has_acknowledged_is_there_on_the_other_one() {
    let server = Server::fast();
    let (mut scene, mut child) = Scene::set_in(server.place(), SHORT).await;
    for _ in 0..5 {
        let other: Child = scene.serve();
        let probe = Probe::of(&scene, &other).await;
        let running = scene.run(&child);
        running.calls.answered(60).await;
        child.kill();
        probe.recovers("a replica killed, the other one asked", Instant::now()).await;
        scene.rest(running).await;
        settle(&mut scene, &other).await;
        child = other;
    }
    assert_eq!(child.terminate(), Some(0));
}
