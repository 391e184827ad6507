//! When sessions end by themselves.

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;

use super::{DAY, HOUR, SECOND};
use crate::support::{PASSWORD, Person, World, ok, refused};

#[tokio::test]
async fn a_session_ends_after_a_day_without_use_to_the_second() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let other = world.sign_in(&owner.email).await;
    world.wait(DAY - SECOND);
    ok(world.by(&owner).get_session().await);
    world.wait(SECOND);
    assert_eq!(refused(world.by(&other).get_session().await).reason(), "SESSION_ENDED");
}

#[tokio::test]
async fn use_keeps_a_session_alive_for_another_day_from_then() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    for _ in 0..5 {
        world.wait(DAY - SECOND);
        let session = ok(world.by(&owner).get_session().await).session.unwrap();
        world.app.record_use().await.unwrap();
        let used = ok(world.by(&owner).get_session().await).session.unwrap();
        assert_eq!(used.last_used_time.unwrap().seconds - session.last_used_time.unwrap().seconds, 24 * 3_600 - 1);
    }
    world.wait(DAY);
    assert_eq!(refused(world.by(&owner).get_session().await).reason(), "SESSION_ENDED");
}

#[tokio::test]
async fn a_check_by_another_service_is_use_too() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let key = world.service_key("desk", &[ServiceScope::CheckAccess], None).await;
    let check = v1::CheckAccessRequest {
        subject: Some(v1::check_access_request::Subject::SessionToken(owner.token.clone())),
        requirement: Some(v1::check_access_request::Requirement::MinimumRole(Role::Owner.number())),
    };
    world.wait(DAY - SECOND);
    assert!(ok(world.with_token(&key).access().check_access(check).await).allowed);
    world.app.record_use().await.unwrap();
    world.wait(DAY - SECOND);
    ok(world.by(&owner).get_session().await);
}

#[tokio::test]
async fn a_session_ends_two_weeks_after_its_sign_in_however_much_it_is_used() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let started = ok(world.by(&owner).get_session().await).session.unwrap();
    let (began, ends) = (started.create_time.unwrap(), started.expire_time.unwrap());
    assert_eq!(ends.seconds - began.seconds, 14 * 24 * 3_600);
    for _ in 0..27 {
        world.wait(DAY / 2);
        ok(world.by(&owner).get_session().await);
        world.app.record_use().await.unwrap();
    }
    world.wait(DAY / 2 - SECOND);
    // Reauthenticating proves the password once more and begins nothing.
    ok(world.by(&owner).reauthenticate(PASSWORD).await);
    let switched = ok(world.by(&owner).switch_to(&owner.workspace_id).await);
    assert_eq!(switched.session.unwrap().expire_time.unwrap(), ends);
    world.wait(SECOND);
    for token in [&owner.token, &switched.session_token] {
        assert_eq!(refused(world.with_token(token).get_session().await).reason(), "SESSION_ENDED");
    }
}

#[tokio::test]
async fn the_last_use_shows_on_the_session_and_on_the_member() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let seen = async || {
        let user = ok(world.by(&owner).get_user(&gil.user_id).await).user.unwrap();
        user.last_seen_time.map(|time| time.seconds)
    };
    // To sign in is the first use.
    assert_eq!(seen().await, Some(world.clock.now().as_micros() / 1_000_000));
    world.wait(HOUR);
    ok(world.by(&gil).get_session().await);
    let at = world.clock.now().as_micros() / 1_000_000;
    world.app.record_use().await.unwrap();
    assert_eq!(seen().await, Some(at));
    world.wait(HOUR);
    // Nobody used it since, so nothing later is recorded of it.
    assert_eq!(seen().await, Some(at));
    world.app.record_use().await.unwrap();
    assert_eq!(seen().await, Some(at));
}

#[tokio::test]
async fn the_last_use_stays_with_the_member_when_the_session_has_ended_or_is_swept() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let outside = world.outside().await;
    let mut people = Vec::new();
    for name in ["out", "removed", "expired"] {
        people.push(world.join(&owner, &format!("{name}@acme.example"), Role::Agent).await);
    }
    world.wait(HOUR);
    for person in &people {
        ok(world.by(person).get_session().await);
    }
    let at = world.clock.now().as_micros() / 1_000_000;
    ok(world.by(&people[0]).sign_out().await);
    ok(world.by(&owner).remove(&people[1].user_id).await);
    // Sessions have ended since they were used, and are marked all the same.
    world.app.record_use().await.unwrap();
    let seen = async |owner: &Person| {
        let mut seen = Vec::new();
        for person in &people {
            let user = ok(world.by(owner).get_user(&person.user_id).await).user.unwrap();
            seen.push(user.last_seen_time.unwrap().seconds);
        }
        seen
    };
    assert_eq!(seen(&owner).await, [at; 3]);
    world.wait(90 * DAY);
    let owner = world.sign_in(&owner.email).await;
    world.app.sweep().await.unwrap();
    assert_eq!(outside.number("SELECT count(*) FROM session").await, 1);
    assert_eq!(seen(&owner).await, [at; 3]);
    // Who comes back is seen when they do.
    world.join(&owner, &people[1].email, Role::Agent).await;
    assert_eq!(seen(&owner).await, [at, world.clock.now().as_micros() / 1_000_000, at]);
}

#[tokio::test]
async fn the_latest_use_of_several_sessions_counts_whichever_is_swept_first() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let first = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let [second, third] = [world.sign_in(&first.email).await, world.sign_in(&first.email).await];
    let mut used = Vec::new();
    for session in [&first, &second, &third] {
        world.wait(HOUR);
        ok(world.by(session).get_session().await);
        used.push(world.clock.now().as_micros() / 1_000_000);
        world.app.record_use().await.unwrap();
    }
    // The one that was used neither first nor last goes first, then the last, then the first.
    ok(world.by(&second).sign_out().await);
    world.wait(DAY / 2);
    ok(world.by(&third).sign_out().await);
    for (wait, left) in [(SECOND, 3), (DAY * 27 / 4, 2), (DAY, 1), (DAY * 90, 0)] {
        world.wait(wait);
        world.app.sweep().await.unwrap();
        let owner = world.sign_in(&owner.email).await;
        let user = ok(world.by(&owner).get_user(&first.user_id).await).user.unwrap();
        assert_eq!(user.last_seen_time.map(|time| time.seconds), Some(used[2]), "with {left} left");
        let of_user =
            "SELECT count(*) FROM session WHERE user_id IN (SELECT id FROM user_account WHERE email LIKE 'gil%')";
        assert_eq!(world.outside().await.number(of_user).await, left);
    }
}

#[tokio::test]
async fn what_time_has_ended_is_marked_when_the_next_session_begins() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let outside = world.outside().await;
    let rows = async |which: &str| outside.number(&format!("SELECT count(*) FROM session WHERE {which}")).await;
    for _ in 0..12 {
        world.wait(DAY + 2 * HOUR);
        assert_eq!(rows("role IS NOT NULL").await, 1);
        world.sign_in(&owner.email).await;
    }
    let marked = "ended_at IS NOT NULL AND NOT signed_out";
    assert_eq!((rows("role IS NOT NULL").await, rows(marked).await), (1, 12));
    // They stay for a week, as others do.
    world.app.sweep().await.unwrap();
    assert_eq!((rows("role IS NOT NULL").await, rows(marked).await), (1, 7));
}

#[tokio::test]
async fn a_session_that_was_used_to_its_last_day_is_marked_too() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let outside = world.outside().await;
    let marked = async || outside.number("SELECT count(*) FROM session WHERE ended_at IS NOT NULL").await;
    for _ in 0..27 {
        world.wait(DAY / 2);
        ok(world.by(&owner).get_session().await);
        world.app.record_use().await.unwrap();
    }
    world.wait(DAY / 2 + HOUR - SECOND);
    world.sign_in(&owner.email).await;
    assert_eq!(marked().await, 0);
    world.wait(SECOND);
    world.sign_in(&owner.email).await;
    assert_eq!(marked().await, 1);
}

#[tokio::test]
async fn what_time_has_ended_is_marked_by_the_session_that_is_one_too_many_as_well() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let outside = world.outside().await;
    let mut tokens = vec![owner.token.clone()];
    let begin = async |tokens: &mut Vec<String>, count: usize| {
        let by = tokens.last().unwrap().clone();
        for _ in 0..count {
            world.tick();
            tokens.push(ok(world.with_token(&by).switch_to(&owner.workspace_id).await).session_token);
        }
    };
    begin(&mut tokens, 3).await;
    world.wait(DAY / 2);
    begin(&mut tokens, 96).await;
    // The switches were use of this one, which outlives the three before it.
    world.app.record_use().await.unwrap();
    world.wait(DAY / 2);
    begin(&mut tokens, 3).await;
    let count = async |which: &str| outside.number(&format!("SELECT count(*) FROM session WHERE {which}")).await;
    assert_eq!((count("role IS NOT NULL").await, count("ended_at IS NOT NULL").await), (103, 0));
    world.wait(HOUR);
    begin(&mut tokens, 1).await;
    assert_eq!((count("role IS NOT NULL").await, count("ended_at IS NOT NULL").await), (100, 4));
    // Of the living the oldest has ended.
    assert_eq!(refused(world.with_token(&tokens[3]).get_session().await).reason(), "SESSION_ENDED");
    for live in [&tokens[4], &tokens[102], &tokens[103]] {
        ok(world.with_token(live).get_session().await);
    }
}

#[tokio::test]
async fn a_session_whose_last_use_is_not_written_down_yet_outlives_a_sign_in_after_its_idle_time() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    world.wait(DAY - SECOND);
    ok(world.by(&owner).get_session().await);
    world.wait(SECOND);
    world.sign_in(&owner.email).await;
    world.app.record_use().await.unwrap();
    ok(world.by(&owner).get_session().await);
}

#[tokio::test]
async fn what_time_ended_was_not_signed_out_whoever_signs_out_later_and_whatever_begins_before() {
    for begins in [false, true] {
        let world = World::start().await;
        let owner = world.workspace("Acme", "owner@acme.example").await;
        world.wait(DAY / 2);
        let sibling = ok(world.by(&owner).switch_to(&owner.workspace_id).await).session_token;
        // The switch was a use, and is not written down before this.
        world.app.record_use().await.unwrap();
        world.wait(DAY * 3 / 4);
        ok(world.with_token(&sibling).get_session().await);
        world.app.record_use().await.unwrap();
        world.wait(DAY / 2);
        if begins {
            world.sign_in(&owner.email).await;
        }
        ok(world.with_token(&sibling).sign_out().await);
        assert_eq!(refused(world.by(&owner).sign_out().await).reason(), "SESSION_ENDED");
    }
}

#[tokio::test]
async fn who_begins_a_session_is_seen_at_once() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let other = world.workspace("Globex", "other@globex.example").await;
    world.join(&other, &owner.email, Role::Agent).await;
    let seen = async |by: &Person| ok(world.by(by).get_user(&owner.user_id).await).user.unwrap().last_seen_time;
    let seconds = || world.clock.now().as_micros() / 1_000_000;
    world.wait(HOUR);
    let signed_in = ok(world.nobody().sign_in(&owner.email, PASSWORD, &owner.workspace_id).await);
    assert_eq!(signed_in.user.unwrap().last_seen_time.map(|time| time.seconds), Some(seconds()));
    assert_eq!(seen(&owner).await.map(|time| time.seconds), Some(seconds()));
    world.wait(HOUR);
    ok(world.by(&owner).switch_to(&other.workspace_id).await);
    assert_eq!(seen(&other).await.map(|time| time.seconds), Some(seconds()));
    assert_eq!(seen(&owner).await.map(|time| time.seconds), Some(seconds() - 3_600));
}

#[tokio::test]
async fn the_hundred_and_first_session_ends_the_oldest() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let mut tokens = vec![owner.token.clone()];
    while tokens.len() < 100 {
        world.tick();
        tokens.push(ok(world.by(&owner).switch_to(&owner.workspace_id).await).session_token);
    }
    ok(world.with_token(&tokens[0]).get_session().await);
    world.tick();
    let next = ok(world.nobody().sign_in(&owner.email, PASSWORD, "").await).session_token;
    assert_eq!(refused(world.with_token(&tokens[0]).get_session().await).reason(), "SESSION_ENDED");
    for token in [&tokens[1], &tokens[99], &next] {
        ok(world.with_token(token).get_session().await);
    }
    assert_eq!(world.with_token(&next).all_sessions().await.len(), 100);

    // Those that have ended do not count: there is room again.
    ok(world.with_token(&next).sign_out().await);
    world.tick();
    ok(world.with_token(&tokens[1]).switch_to(&owner.workspace_id).await);
    ok(world.with_token(&tokens[1]).get_session().await);
}
