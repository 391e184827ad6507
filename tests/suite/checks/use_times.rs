//! When a session or a key was used last.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::time::Duration;

use rolecall::authz::{Caller, ServiceScope};
use rolecall::crypto::TokenKind;
use rolecall::error::{Error, Reason};
use rolecall::model::Role;
use rolecall::store::{KeyState, SessionState};
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
async fn use_is_recorded_every_half_minute_and_not_at_each_call() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let key = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
    let outside = world.outside().await;
    let of =
        |name| format!("session WHERE user_id IN (SELECT id FROM user_account WHERE email = '{name}@acme.example')");
    let tables = [of("owner"), of("gil"), "service_key".to_owned()];
    let mut recorded = HashMap::<_, HashSet<_>>::new();
    world.wait(MINUTE);
    for _ in 0..60 {
        world.wait(MINUTE / 12);
        ok(world.by(&owner).get_session().await);
        check(&world.with_token(&key), &gil.token).await;
        world.app.record_use().await.unwrap();
        for whose in &tables {
            let used = outside.number(&format!("SELECT last_used_at FROM {whose}")).await;
            assert!(world.clock.now().as_micros() - used < 30_000_000, "{whose}");
            recorded.entry(whose).or_default().insert(used);
        }
    }
    for (whose, times) in recorded {
        assert_eq!(times.len(), 10, "{whose} in five minutes");
    }
}

#[tokio::test]
async fn what_a_call_saw_before_use_was_recorded_does_not_have_it_recorded_again() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let key = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
    let outside = world.outside().await;
    let recorded = async |table: &str| outside.number(&format!("SELECT last_used_at FROM {table}")).await;
    world.wait(MINUTE);
    let first = world.clock.now();
    let SessionState::Live(session) = world.app.session_state(first, &owner.token).await.unwrap() else {
        panic!("the session is not live");
    };
    let hash = TokenKind::ServiceKey.parse(&key).unwrap();
    let (KeyState::Live(key), _) = world.app.key_state(first, hash, None).await.unwrap() else {
        panic!("the key is not good");
    };
    let callers = [Caller::Session(session), Caller::ServiceKey(key)];
    for (seconds, stands) in [(0, 0), (12, 0), (17, 0), (1, 30)] {
        world.wait(Duration::from_secs(seconds));
        for caller in &callers {
            world.app.note_use(caller, world.clock.now());
        }
        world.app.record_use().await.unwrap();
        let expected = first.plus(Duration::from_secs(stands)).as_micros();
        assert_eq!((recorded("session").await, recorded("service_key").await), (expected, expected));
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
