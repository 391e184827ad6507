//! A right that is lost in the middle of a call is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rolecall::grpc::pb::v1;
use rolecall::model::Role;

use super::{accept, at_once, change_role, create, links, yields};
use crate::support::{As, Dice, PASSWORD, Person, World, hex, outcome};

const ROUNDS: usize = 40;
const SENDERS: usize = 4;

/// Invites one address after the other until the caller may not. Answers the ids of those that were sent, and why not
/// the next.
async fn invite_without_end(caller: As, round: usize, sender: usize, sent: Arc<AtomicUsize>) -> (Vec<String>, String) {
    let mut ids = Vec::new();
    for number in 0.. {
        let request = create(&format!("guest-{round}-{sender}-{number}@acme.example"), Role::Agent, "");
        match caller.invitations().create_invitation(request).await {
            Ok(created) => {
                ids.push(created.into_inner().invitation.unwrap().invitation_id);
                sent.fetch_add(1, Ordering::SeqCst);
            }
            Err(status) => return (ids, outcome::<()>(&Err(status))),
        }
    }
    unreachable!()
}

async fn back_in(world: &World, owner: &Person, email: &str) -> Person {
    world.by(owner).invitations().create_invitation(create(email, Role::Admin, "")).await.unwrap();
    let token = links(world).await[email].clone();
    world.accept(&token, "Adam Admin").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_demotion_or_a_removal_no_invitation_of_theirs_is_left_however_many_were_on_their_way() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let mut admin = back_in(&world, &owner, "adam@acme.example").await;
    let database = world.outside().await;
    let mut dice = Dice::new(3);
    let mut in_all = 0;
    for round in 0..ROUNDS {
        let sent = Arc::new(AtomicUsize::new(0));
        let calls = (0..SENDERS).map(|sender| invite_without_end(world.by(&admin), round, sender, Arc::clone(&sent)));
        let sending = tokio::spawn(at_once(calls.collect()));
        let enough = dice.below(6);
        while sent.load(Ordering::SeqCst) < enough {
            yields(1).await;
        }
        yields(dice.below(200)).await;
        let removing = round % 2 == 1;
        let (canceled, refusal) = if removing {
            let request = v1::RemoveUserRequest { user_id: admin.user_id.clone() };
            let removed = world.by(&owner).users().remove_user(request).await.unwrap().into_inner();
            (removed.canceled_invitations, "SESSION_ENDED")
        } else {
            let request = change_role(&admin.user_id, Role::Manager);
            let changed = world.by(&owner).users().change_user_role(request).await.unwrap().into_inner();
            (changed.canceled_invitations, "ROLE_TOO_LOW")
        };
        let sender = hex(&admin.user_id);
        let open = format!(
            "SELECT count(*) FROM invitation
             WHERE hex(invited_by) = '{sender}' AND accepted_at IS NULL AND canceled_at IS NULL"
        );
        assert_eq!(database.number(&open).await, 0, "the moment that it was answered");
        let mut created = BTreeSet::new();
        for (ids, why) in sending.await.unwrap() {
            assert_eq!(why, refusal);
            created.extend(ids);
        }
        assert_eq!(database.number(&open).await, 0, "when the last call on its way had been answered");
        in_all += created.len();
        assert!(canceled.iter().all(|invitation| invitation.state() == v1::InvitationState::Canceled));
        let canceled: BTreeSet<_> = canceled.into_iter().map(|invitation| invitation.invitation_id).collect();
        assert_eq!(created, canceled, "what was sent before is what was canceled");
        if removing {
            admin = back_in(&world, &owner, &admin.email).await;
        } else {
            let promote = change_role(&admin.user_id, Role::Admin);
            world.by(&owner).users().change_user_role(promote).await.unwrap();
        }
    }
    assert!(in_all > ROUNDS, "hardly anything was on its way: {in_all}");
    database.assert_whole().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_invitation_is_not_accepted_once_its_sender_was_demoted() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let admin = back_in(&world, &owner, "adam@acme.example").await;
    let database = world.outside().await;
    let mut dice = Dice::new(4);
    let mut seen = BTreeSet::new();
    let mut most = 1_024;
    for round in 0..150 {
        let email = format!("guest-{round}@acme.example");
        world.by(&admin).invitations().create_invitation(create(&email, Role::Agent, "")).await.unwrap();
        let token = links(&world).await[&email].clone();
        let accepting = {
            let (nobody, request) = (world.nobody(), accept(&token, PASSWORD));
            tokio::spawn(async move { nobody.invitations().accept_invitation(request).await })
        };
        yields(dice.below(most)).await;
        let request = change_role(&admin.user_id, Role::Manager);
        let demoted = world.by(&owner).users().change_user_role(request).await.unwrap().into_inner();
        let accepted = accepting.await.unwrap();
        let (answer, left) = (outcome(&accepted), demoted.canceled_invitations.len());
        assert!(matches!((answer.as_str(), left), ("OK", 0) | ("INVITATION_CANCELED", 1)), "{answer}, {left} canceled");
        seen.insert(answer);
        // Each outcome comes up, however long the hash takes here.
        most = if accepted.is_ok() { most / 2 + 1 } else { (most * 2).min(1 << 20) };
        let members = format!("SELECT count(*) FROM membership WHERE email = '{email}'");
        assert_eq!(database.number(&members).await, i64::from(accepted.is_ok()));
        world.by(&owner).users().change_user_role(change_role(&admin.user_id, Role::Admin)).await.unwrap();
    }
    assert_eq!(seen.len(), 2, "it was never a race: {seen:?}");
    database.assert_whole().await;
    world.stop().await;
}
