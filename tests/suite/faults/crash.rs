//! SIGKILL in the middle of work.

use super::load::Client;
use super::scene::Scene;
use crate::races::yields;
use crate::support::Dice;

const KILLS: usize = 55;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_again_and_again_keeps_all_that_it_acknowledged_and_no_half_state() {
    let (mut scene, mut child) = Scene::set().await;
    let database = scene.outside().await;
    let mut dice = Dice::new(0xdead);
    let (mut in_flight, mut lost) = (Vec::new(), 0);
    for kill in 0..KILLS {
        let running = scene.run(&child);
        running.calls.answered(8 + dice.below(60) as u32).await;
        yields(dice.below(2_000)).await;
        in_flight.push(running.calls.in_flight());
        child.kill();
        let calls = running.calls.clone();
        scene.rest(running).await;
        lost += calls.lost().values().sum::<usize>();
        child = scene.serve();
        scene.check_acknowledged(&database).await;
        if kill % 5 == 4 {
            database.assert_whole().await;
        }
        for client in &mut scene.clients {
            if let Client::Host(host) = client {
                host.wait_no_longer();
            }
        }
    }
    // Calls that were cut off are made again, and then all that was asked for is there.
    // Work goes on until enough people have joined: a slow machine had many an accept cut off.
    for _ in 0..20 {
        let running = scene.run(&child);
        running.calls.answered(100).await;
        running.calls.stop();
        scene.rest(running).await;
        if joined(&scene) >= 10 {
            break;
        }
    }
    scene.check_acknowledged(&database).await;
    database.assert_whole().await;
    assert!(scene.clients.iter().all(|client| client.open_questions() == 0));

    let busy = in_flight.iter().filter(|calls| **calls >= 2).count();
    assert!(busy * 10 >= KILLS * 9, "most kills came when little was going on: {in_flight:?}");
    assert!(joined(&scene) >= 10, "hardly anybody joined: {}", joined(&scene));
    assert!(lost >= 4 * KILLS, "few answers were lost: {lost}");
    assert_eq!(child.terminate(), Some(0));
}

fn joined(scene: &Scene) -> usize {
    scene.clients.iter().map(|client| if let Client::Host(host) = client { host.joined() } else { 0 }).sum()
}
