//! Connections that are cut at COMMIT: nobody can know whether it happened, and asking again is safe.

use rolecall::model::Role;

use super::SHORT;
use super::probe::settle;
use super::proxy::{Cut, Proxy};
use crate::faults::scene::Scene;
use crate::races::{create, request_id};
use crate::replicas::Server;
use crate::support::{Dice, World, ok, refused};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_cut_at_commit_has_one_effect_when_it_is_asked_for_again() {
    let server = Server::fast();
    let port = server.cluster.port();
    let proxy = Proxy::before(port).await;
    let world = World::start_in(server.place_by(proxy.url(&server.cluster.url("rolecall"), port))).await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let database = world.outside().await;
    for round in 0..40 {
        let cut = if round % 2 == 0 { Cut::Before } else { Cut::After };
        let email = format!("invited-{round}@acme.example");
        let there = format!("SELECT count(*) FROM invitation WHERE email = '{email}'");
        let request = create(&email, Role::Agent, &request_id(round));
        proxy.arm_about(&email, cut);
        let lost = refused(world.by(&owner).invitations().create_invitation(request.clone()).await);
        assert_eq!(lost.reason(), "DATABASE_UNAVAILABLE", "nobody knows whether it happened");
        assert_eq!(proxy.cut() as u64, round + 1);
        assert_eq!(database.number(&there).await, i64::from(cut == Cut::After), "{cut:?}");
        let made = ok(world.by(&owner).invitations().create_invitation(request.clone()).await).invitation.unwrap();
        let again = ok(world.by(&owner).invitations().create_invitation(request).await).invitation.unwrap();
        assert_eq!(made.invitation_id, again.invitation_id);
        assert_eq!(database.number(&there).await, 1);
    }
    world.deliver().await;
    assert_eq!(world.mails().len(), 40, "one e-mail for each");
    database.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_are_cut_at_random_while_work_goes_on_lose_nothing_that_was_acknowledged() {
    let server = Server::fast();
    let port = server.cluster.port();
    let proxy = Proxy::before(port).await;
    let place = server.place_by(proxy.url(&server.cluster.url("rolecall"), port));
    let (mut scene, child) = Scene::set_in(place, SHORT).await;
    let database = scene.outside().await;
    let mut dice = Dice::new(0xc0);
    for round in 0..24 {
        let cuts = proxy.cut();
        let running = scene.run(&child);
        running.calls.answered(10).await;
        for cut in [Cut::Before, Cut::After, dice.pick(&[Cut::Before, Cut::After])] {
            let before = proxy.cut();
            proxy.arm(dice.below(4), cut);
            running.calls.answered(8).await;
            if proxy.cut() > before + 1 {
                break;
            }
        }
        running.calls.stop();
        scene.rest(running).await;
        scene.check_acknowledged(&database).await;
        assert!(proxy.cut() > cuts, "nothing was cut in round {round}");
        if round % 6 == 5 {
            database.assert_whole().await;
        }
    }
    settle(&mut scene, &child).await;
    assert_eq!(child.terminate(), Some(0));
}
