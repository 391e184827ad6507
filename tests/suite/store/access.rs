//! What is asked about together is answered together.

use std::time::Duration;

use rolecall::crypto::{TokenHash, TokenKind};
use rolecall::error::Reason;
use rolecall::model::Role;
use rolecall::store::{Question, SessionState};

use super::SECOND;
use super::scene::{LIFETIME, NOW, Scene, Seat, new_session};

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

/// Another hash that begins as this one does, which is what a session is found by.
fn alike(hash: TokenHash) -> TokenHash {
    let mut bytes = *hash.as_bytes();
    bytes[31] ^= 1;
    let alike = TokenHash::from_bytes(bytes);
    assert_eq!(alike.key(), hash.key());
    alike
}

#[tokio::test]
async fn a_token_whose_hash_only_begins_as_a_sessions_does_is_not_its() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let other = scene.seat(owner.workspace, "other@acme.example", Role::Agent).await;
    let alike = alike(owner.token);
    let (right, wrong) = (Question::Session(owner.token), Question::Session(alike));
    // By the statement about one session, by that about several, and beside the right one.
    for questions in [vec![wrong], vec![wrong, Question::Session(other.token)], vec![wrong, right], vec![right, wrong]]
    {
        let found = scene.store.ask(questions.clone()).await.unwrap();
        for (question, found) in questions.iter().zip(found) {
            let live = matches!(found.session(LIFETIME, NOW), SessionState::Live(_));
            assert_eq!(live, *question != wrong, "{question:?} among {questions:?}");
        }
    }
}

#[tokio::test]
async fn a_session_is_not_begun_in_the_place_of_another_whose_hash_begins_as_its_does() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let new = new_session(owner.workspace, owner.user, Role::Owner, alike(owner.token));
    let mut tx = scene.system(NOW).await;
    let refused = tx.insert_session(&new, LIFETIME).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Conflict);
    drop(tx);
    let SessionState::Live(caller) = scene.store.session_state(owner.token, LIFETIME, NOW).await.unwrap() else {
        panic!("the session that was there is gone");
    };
    assert_eq!(caller.session_id, owner.session);
}

/// Of a member's sessions that ended so many are looked at.
const MOST_ENDED: u32 = 100;

#[tokio::test]
async fn of_many_sessions_that_ended_those_that_ended_last_tell_when_a_member_was_seen() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let mut keys = Vec::new();
    for number in 1..=MOST_ENDED + 1 {
        let now = NOW.plus(SECOND * number);
        let new = new_session(owner.workspace, owner.user, Role::Owner, TokenKind::Session.mint().hash);
        let mut tx = scene.system(now).await;
        tx.insert_session(&new, LIFETIME).await.unwrap();
        keys.push(new.token.key());
        tx.touch_sessions(&[(new.token.key(), now)], Duration::ZERO).await.unwrap();
        tx.end_sign_in(owner.user, new.session.sign_in_id, LIFETIME, true).await.unwrap();
        tx.commit().await.unwrap();
    }
    let seen = async || scene.store.member(owner.workspace, owner.user).await.unwrap().last_seen_time;
    let last = NOW.plus(SECOND * (MOST_ENDED + 1));
    assert_eq!(seen().await, Some(last));
    for (key, after) in [(keys[0], last), (keys[1], last.plus(SECOND))] {
        let mut tx = scene.system(last).await;
        tx.touch_sessions(&[(key, last.plus(SECOND))], Duration::ZERO).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(seen().await, Some(after));
    }
}
