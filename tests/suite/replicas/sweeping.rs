//! Sweeping beside the transactions of others.

use std::time::Duration;

use rolecall::model::Role;

use super::Server;
use crate::support::{World, ok};

const HOUR: Duration = Duration::from_secs(60 * 60);
/// As long as ended sessions stay.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

async fn sessions_swept(world: &World) -> Option<u64> {
    let swept = world.app.sweep().await.unwrap();
    swept.into_iter().find(|(kind, _)| *kind == "sessions").map(|(_, rows)| rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_somebody_holds_or_whose_member_somebody_holds_is_swept_when_they_are_done() {
    let server = Server::fast();
    let [world] = server.worlds().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let mut people = Vec::new();
    for name in ["session", "member", "free"] {
        people.push(world.join(&owner, &format!("{name}@acme.example"), Role::Agent).await);
    }
    world.wait(HOUR);
    for person in &people {
        ok(world.by(person).get_session().await);
    }
    let used = world.clock.now().as_micros() / 1_000_000;
    world.app.record_use().await.unwrap();
    for person in &people {
        ok(world.by(person).sign_out().await);
    }
    world.wait(WEEK + HOUR);
    let outside = world.outside().await;
    let hold = async |table: &str, person: usize, lock: &str| {
        let user = &people[person].user_id;
        let held = outside.run(&format!("SELECT 1 FROM {table} WHERE user_id = '{user}' FOR {lock}")).await;
        assert_eq!(held, 1);
    };
    outside.run("BEGIN").await;
    hold("session", 0, "UPDATE").await;
    hold("membership", 1, "UPDATE").await;
    // What refers to a membership, as a session that begins does, is in nobody's way.
    hold("membership", 2, "KEY SHARE").await;
    assert_eq!(sessions_swept(&world).await, Some(1));
    outside.run("ROLLBACK").await;
    assert_eq!(sessions_swept(&world).await, Some(2));
    let owner = world.sign_in(&owner.email).await;
    for person in &people {
        let user = ok(world.by(&owner).get_user(&person.user_id).await).user.unwrap();
        assert_eq!(user.last_seen_time.map(|time| time.seconds), Some(used), "{}", person.email);
    }
}
