//! What is asked about together is answered together.

use rolecall::model::Role;
use rolecall::store::{Question, SessionState};

use super::scene::{LIFETIME, NOW, Scene, Seat};

/// How often the two change places.
const CHANGES: usize = 300;

/// The roles of two people by the same question, one by the session and one by the membership: alone, or with one more of
/// each kind, which is another statement on PostgreSQL.
async fn roles(scene: &Scene, one: &Seat, other: &Seat, alone: bool) -> [Role; 2] {
    let mut questions = vec![Question::Session(one.token), Question::Membership(other.workspace, other.user)];
    if !alone {
        questions.extend([Question::Session(other.token), Question::Membership(one.workspace, one.user)]);
    }
    let mut found = scene.store.ask(questions).await.unwrap().into_iter();
    let SessionState::Live(caller) = found.next().unwrap().session(LIFETIME, NOW) else {
        panic!("the session is not live");
    };
    [caller.role, found.next().unwrap().role().unwrap()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_together_is_answered_from_one_state_of_the_database() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let one = scene.seat(owner.workspace, "one@acme.example", Role::Agent).await;
    let other = scene.seat(owner.workspace, "other@acme.example", Role::Admin).await;
    let outside = scene.outside().await;
    let changing = tokio::spawn(async move {
        for _ in 0..CHANGES {
            // An Agent is 1 and an Admin 3.
            assert_eq!(outside.run("UPDATE membership SET role = 4 - role WHERE role IN (1, 3)").await, 2);
        }
    });
    let mut seen = Vec::new();
    while !changing.is_finished() {
        let roles = roles(&scene, &one, &other, seen.len().is_multiple_of(2)).await;
        assert!(roles[0] != roles[1], "both are {roles:?}");
        seen.push(roles[0]);
    }
    changing.await.unwrap();
    for role in [Role::Agent, Role::Admin] {
        assert!(seen.contains(&role), "nobody was ever seen as {role:?}");
    }
}
