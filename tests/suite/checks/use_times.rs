//! When a session or a key was used last.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::time::Duration;

use rolecall::authz::ServiceScope;
use rolecall::error::{Error, Reason};
use rolecall::model::Role;
use tonic::Code;

use super::check;
use crate::support::{World, ok};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn each_use_is_recorded_at_its_own_time_and_what_could_not_be_recorded_is_recorded_later() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let key = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
    let desk = world.with_token(&key);
    world.app.record_use().await.unwrap();
    let seen = async |user: &str| {
        let answer = until_it_is_there(async || world.by(&owner).get_user(user).await, |status| status.code()).await;
        answer.into_inner().user.unwrap().last_seen_time
    };
    let mut used = Vec::new();
    for token in [&gil.token, &owner.token] {
        world.wait(MINUTE);
        check(&desk, token).await;
        used.push(world.clock.now().as_micros() / 1_000_000);
    }
    world.wait(MINUTE);
    world.place().take_away();
    world.app.record_use().await.unwrap_err();
    world.place().bring_back();
    // Nothing was used meanwhile.
    until_it_is_there(async || world.app.record_use().await, code).await;
    assert_eq!(seen(&gil.user_id).await.map(|time| time.seconds), Some(used[0]));
    assert_eq!(seen(&owner.user_id).await.map(|time| time.seconds), Some(used[1]));
    let keys = until_it_is_there(async || world.store.service_keys().await, code).await;
    assert_eq!(keys[0].last_used_time.map(|time| time.as_micros() / 1_000_000), Some(used[1]));
}

#[tokio::test]
async fn use_is_recorded_to_within_a_minute_and_not_at_each_call() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let key = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
    let outside = world.outside().await;
    let (mut sessions, mut keys) = (HashSet::new(), HashSet::new());
    for _ in 0..60 {
        world.wait(MINUTE / 12);
        check(&world.with_token(&key), &owner.token).await;
        world.app.record_use().await.unwrap();
        for (recorded, table) in [(&mut sessions, "session"), (&mut keys, "service_key")] {
            let used = outside.number(&format!("SELECT last_used_at FROM {table}")).await;
            assert!(world.clock.now().as_micros() - used < 60_000_000, "{table}");
            recorded.insert(used);
        }
    }
    for recorded in [sessions, keys] {
        assert!((5..=11).contains(&recorded.len()), "{} times in five minutes", recorded.len());
    }
}

#[tokio::test]
async fn as_many_as_a_statement_may_name_are_recorded_each_at_its_time_and_no_other() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let mut people = Vec::new();
    for number in 0..20 {
        people.push(world.join(&owner, &format!("p{number}@acme.example"), Role::Agent).await);
    }
    let mut times = HashMap::new();
    for person in &people[..19] {
        world.wait(MINUTE);
        ok(world.by(person).get_session().await);
        times.insert(person.user_id.clone(), world.clock.now().as_micros());
    }
    let last = &people[19];
    let before = ok(world.by(&owner).get_user(&last.user_id).await).user.unwrap().last_seen_time;
    world.app.record_use().await.unwrap();
    for (user, at) in times {
        let seen = ok(world.by(&owner).get_user(&user).await).user.unwrap().last_seen_time.unwrap();
        assert_eq!(seen.seconds, at / 1_000_000, "{user}");
    }
    assert_eq!(ok(world.by(&owner).get_user(&last.user_id).await).user.unwrap().last_seen_time, before);
}

/// Connections that had ended are noticed when they are used, each for itself.
async fn until_it_is_there<T, E: Debug>(ask: impl AsyncFn() -> Result<T, E>, code: impl Fn(&E) -> Code) -> T {
    for _ in 0..100 {
        match ask().await {
            Err(error) if code(&error) == Code::Unavailable => {}
            answer => return answer.unwrap(),
        }
    }
    panic!("the database is there, and nobody says so")
}

fn code(error: &Error) -> Code {
    if error.reason() == Reason::DatabaseUnavailable { Code::Unavailable } else { Code::Unknown }
}
