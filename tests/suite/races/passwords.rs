//! A password that is changed, reset and used at the same moment.

use std::collections::BTreeSet;

use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::{Response, Status};

use super::sessions::{is_live, join};
use super::{at_once, create, links, yields};
use crate::support::{As, Dice, PASSWORD, World, ok, outcome, reset_token_in};

const AT_ONCE: usize = 8;

fn password(number: usize) -> String {
    format!("marble otter {number} canyon thistle")
}

async fn signs_in(world: &World, email: &str, password: &str) -> bool {
    match outcome(&world.nobody().sign_in(email, password, "").await).as_str() {
        "OK" => true,
        "INVALID_CREDENTIALS" => false,
        other => panic!("neither right nor wrong: {other}"),
    }
}

async fn reset_link(world: &World, email: &str) -> String {
    let request = v1::RequestPasswordResetRequest { email: email.into() };
    ok(world.nobody().passwords().request_password_reset(request).await);
    let outgoing = world.claim_email().await;
    world.app.settle_email(&outgoing, &Ok(())).await.unwrap();
    reset_token_in(&outgoing.email.text)
}

async fn reset(caller: As, token: String, new: String) -> Result<Response<v1::ResetPasswordResponse>, Status> {
    let request = v1::ResetPasswordRequest { reset_token: token, new_password: new };
    caller.passwords().reset_password(request).await
}

async fn change(caller: As, current: String, new: String) -> Result<Response<v1::ChangePasswordResponse>, Status> {
    let request = v1::ChangePasswordRequest { current_password: current, new_password: new };
    caller.passwords().change_password(request).await
}

/// The one that succeeded; all others were refused for this reason.
fn winner<T>(answers: &[Result<Response<T>, Status>], refusal: &str) -> usize {
    let answers: Vec<String> = answers.iter().map(outcome).collect();
    let won: Vec<usize> = (0..answers.len()).filter(|number| answers[*number] == "OK").collect();
    assert!(won.len() == 1 && answers.iter().all(|answer| answer == "OK" || answer == refusal), "{answers:?}");
    won[0]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_resets_through_one_link_at_once_exactly_one_sets_the_password() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    for _ in 0..5 {
        let token = reset_link(&world, &owner.email).await;
        let resets = (0..AT_ONCE).map(|number| reset(world.nobody(), token.clone(), password(number)));
        let set = winner(&at_once(resets.collect()).await, "RESET_NOT_FOUND");
        for number in 0..AT_ONCE {
            assert_eq!(signs_in(&world, &owner.email, &password(number)).await, number == set);
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_changes_of_one_password_at_once_exactly_one_is_made() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let mut current = PASSWORD.to_owned();
    for round in 0..5 {
        let new = |number: usize| password(AT_ONCE * round + number);
        let changes = (0..AT_ONCE).map(|number| change(world.by(&owner), current.clone(), new(number)));
        current = new(winner(&at_once(changes.collect()).await, "PASSWORD_WRONG"));
        assert!(signs_in(&world, &owner.email, &current).await);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_session_that_was_begun_with_the_old_password_outlives_its_change() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let host = world.workspace("Elsewhere", "host@acme.example").await;
    let mut dice = Dice::new(21);
    let (mut current, mut seen) = (PASSWORD.to_owned(), [BTreeSet::new(), BTreeSet::new()]);
    for round in 0..60 {
        let invited = ok(world.by(&host).invitations().create_invitation(create(&owner.email, Role::Agent, "")).await);
        let link = links(&world).await[&owner.email].clone();
        let begins = (0..6).map(|number| {
            let (caller, old, link, wait) = (world.nobody(), current.clone(), link.clone(), dice.below(30));
            let (email, workspace) = (owner.email.clone(), owner.workspace_id.clone());
            async move {
                yields(wait).await;
                if number % 6 == 3 {
                    let answer = caller.accept(&link, "", &old).await;
                    (0, outcome(&answer), answer.ok().map(|answer| answer.into_inner().session_token))
                } else {
                    let answer = caller.sign_in(&email, &old, &workspace).await;
                    (1, outcome(&answer), answer.ok().map(|answer| answer.into_inner().session_token))
                }
            }
        });
        let beginning = tokio::spawn(at_once(begins.collect()));
        yields(dice.below(60)).await;
        let new = password(round);
        ok(change(world.by(&owner), current, new.clone()).await);
        current = new;
        for (way, answer, token) in beginning.await.unwrap() {
            if let Some(token) = token {
                assert!(!is_live(&world, &token).await, "round {round}, way {way}");
            }
            seen[way].insert(answer);
        }
        assert!(is_live(&world, &owner.token).await);
        match ok(world.by(&host).get_invitation(&invited.invitation.unwrap().invitation_id).await).invitation.unwrap() {
            pending if pending.state() == v1::InvitationState::Pending => {
                ok(world.by(&host).cancel(&pending.invitation_id).await);
            }
            _ => drop(ok(world.by(&host).remove(&owner.user_id).await)),
        }
    }
    let both = BTreeSet::from(["OK".to_owned(), "INVALID_CREDENTIALS".to_owned()]);
    assert_eq!(seen, [both.clone(), both], "it was never a race");
    world.outside().await.assert_whole().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_session_of_a_reset_while_its_user_was_removed_is_live_afterwards_or_revives() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let mut dice = Dice::new(22);
    let mut seen = BTreeSet::new();
    for _ in 0..60 {
        let gil = join(&world, &owner, "gil@acme.example").await;
        let token = reset_link(&world, &gil.email).await;
        let resetting = tokio::spawn(reset(world.nobody(), token, PASSWORD.into()));
        // A reset takes as long as a few reads.
        for _ in 0..dice.below(16) {
            ok(world.by(&owner).get_session().await);
        }
        ok(world.by(&owner).remove(&gil.user_id).await);
        let answer = ok(resetting.await.unwrap());
        seen.insert(answer.session.is_some());
        let tokens = [gil.token, answer.session_token];
        for token in tokens.iter().filter(|token| !token.is_empty()) {
            assert!(!is_live(&world, token).await);
        }
        let back = join(&world, &owner, &gil.email).await;
        for token in tokens.iter().filter(|token| !token.is_empty()) {
            assert!(!is_live(&world, token).await, "it revived");
        }
        ok(world.by(&owner).remove(&back.user_id).await);
    }
    assert_eq!(seen, BTreeSet::from([false, true]), "it was never a race");
    world.stop().await;
}
