//! A network that swallows everything and tells nobody.

use std::time::Instant;

use super::SHORT;
use super::probe::{Probe, settle};
use super::proxy::Proxy;
use crate::faults::scene::Scene;
use crate::replicas::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_whose_peer_has_vanished_are_given_up_and_new_ones_are_made() {
    let server = Server::fast();
    let port = server.cluster.port();
    let proxy = Proxy::before(port).await;
    let place = server.place_by(proxy.url(&server.cluster.url("rolecall"), port));
    let (mut scene, child) = Scene::set_in(place, SHORT).await;
    let probe = Probe::of(&scene, &child).await;
    let running = scene.run(&child);
    running.calls.answered(60).await;
    proxy.vanish();
    scene.rest(running).await;
    let seen = probe.away().await;
    proxy.come_back();
    probe.recovers(&format!("the network swallowed everything ({seen:?})"), Instant::now()).await;
    settle(&mut scene, &child).await;
    assert_eq!(child.terminate(), Some(0));
}
