//! The transaction as a guard, and the right that it settles when it opens.

use rolecall::authz::{Caller, Op, ServiceScope, rule_of};
use rolecall::crypto::{TokenKind, new_uuid};
use rolecall::error::{Reason, Result};
use rolecall::model::{Role, WorkspaceId};
use rolecall::store::{MembershipChange, Store, Write};

use super::DAY;
use super::scene::{LIFETIME, NOW, Scene, Seat, name, new_session, system_op};

const LIST_USERS: &str = "/rolecall.v1.UserService/ListUsers";
const CREATE_INVITATION: &str = "/rolecall.v1.InvitationService/CreateInvitation";
const RESEND_INVITATION: &str = "/rolecall.v1.InvitationService/ResendInvitation";

async fn name_of(store: &Store, workspace: WorkspaceId) -> String {
    store.workspace(workspace).await.unwrap().name.as_str().to_owned()
}

/// Why the transaction did not open.
fn refusal(opened: Result<Write>) -> Reason {
    match opened {
        Ok(_) => panic!("it opened"),
        Err(error) => error.reason(),
    }
}

/// Every way to open a transaction that settles the caller's right, and what each says.
async fn refusals(scene: &Scene, op: &Op, elsewhere: WorkspaceId) -> [Reason; 3] {
    [
        refusal(scene.store.write(op).await),
        refusal(scene.store.write_in(op, elsewhere).await),
        refusal(scene.store.write_unscoped(op).await),
    ]
}

#[tokio::test]
async fn readers_see_what_a_write_does_once_it_is_committed_and_not_before() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let op = scene.op_by(&owner, LIST_USERS).await;
    let mut tx = scene.store.write(&op).await.unwrap();
    tx.rename_workspace(owner.workspace, &name("Acme Two")).await.unwrap();
    assert_eq!(tx.workspace(owner.workspace).await.unwrap().name.as_str(), "Acme Two");
    assert_eq!(name_of(&scene.store, owner.workspace).await, "Acme");
    tx.commit().await.unwrap();
    assert_eq!(name_of(&scene.store, owner.workspace).await, "Acme Two");
}

#[tokio::test]
async fn a_write_that_is_dropped_leaves_nothing_and_is_in_nobodys_way() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let op = scene.op_by(&owner, LIST_USERS).await;
    let mut dropped = scene.store.write(&op).await.unwrap();
    dropped.rename_workspace(owner.workspace, &name("Acme Two")).await.unwrap();
    drop(dropped);
    let next = scene.store.write(&op).await.unwrap();
    assert_eq!(next.workspace(owner.workspace).await.unwrap().name.as_str(), "Acme");
    next.commit().await.unwrap();
    assert_eq!(name_of(&scene.store, owner.workspace).await, "Acme");
}

#[tokio::test]
async fn a_session_that_ended_after_the_call_came_in_opens_no_write() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let other = scene.workspace("owner@other.example").await;
    let op = scene.op_by(&owner, LIST_USERS).await;
    let mut tx = scene.system(NOW).await;
    assert_eq!(tx.end_all_sessions(owner.user, LIFETIME).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert_eq!(refusals(&scene, &op, other.workspace).await, [Reason::SessionEnded; 3]);
}

#[tokio::test]
async fn a_session_whose_membership_ended_opens_no_write_even_if_nobody_ended_it() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let other = scene.workspace("owner@other.example").await;
    let gil = scene.seat(owner.workspace, "gil@acme.example", Role::Agent).await;
    let op = scene.op_by(&gil, LIST_USERS).await;
    scene.change(&gil, MembershipChange::End).await;
    assert_eq!(refusals(&scene, &op, other.workspace).await, [Reason::SessionEnded; 3]);
}

#[tokio::test]
async fn a_session_that_reached_its_end_opens_no_write() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let mut op = scene.op_by(&owner, LIST_USERS).await;
    op.now = NOW.plus(LIFETIME.absolute);
    assert_eq!(refusals(&scene, &op, owner.workspace).await, [Reason::SessionEnded; 3]);
}

async fn demoted(scene: &Scene) -> (Seat, Seat) {
    let owner = scene.workspace("owner@acme.example").await;
    let adam = scene.seat(owner.workspace, "adam@acme.example", Role::Admin).await;
    (owner, adam)
}

#[tokio::test]
async fn a_role_that_was_lowered_after_the_call_came_in_counts_as_it_is_now() {
    let scene = Scene::set().await;
    let (_, adam) = demoted(&scene).await;
    let other = scene.workspace("owner@other.example").await;
    let inviting = scene.op_by(&adam, CREATE_INVITATION).await;
    let listing = scene.op_by(&adam, LIST_USERS).await;
    scene.change(&adam, MembershipChange::Role(Role::Agent)).await;
    assert_eq!(refusals(&scene, &inviting, other.workspace).await, [Reason::RoleTooLow; 3]);

    // What the lower role may still do goes on, and decides by the lower role.
    let Caller::Session(before) = &listing.caller else { panic!("{:?}", listing.caller) };
    assert_eq!(before.role, Role::Admin);
    let tx = scene.store.write(&Op { rule: None, ..listing }).await.unwrap();
    assert_eq!(tx.op().caller.session().unwrap().role, Role::Agent);
}

#[tokio::test]
async fn a_service_key_that_was_revoked_after_the_call_came_in_opens_no_write() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let scope = rule_of(RESEND_INVITATION).unwrap().service_scope.unwrap();
    let (key, _, mut op) = scene.key(scope, owner.workspace).await;
    op.rule = rule_of(RESEND_INVITATION);
    drop(scene.store.write(&op).await.unwrap());
    let mut tx = scene.system(NOW).await;
    tx.revoke_service_key(key).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(refusals(&scene, &op, owner.workspace).await, [Reason::ServiceKeyInvalid; 3]);
}

#[tokio::test]
async fn the_rule_of_the_method_is_held_against_the_caller_when_the_write_opens() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let wanted = rule_of(RESEND_INVITATION).unwrap().service_scope.unwrap();
    let another = ServiceScope::ALL.iter().copied().find(|scope| *scope != wanted).unwrap();
    let (_, _, mut op) = scene.key(another, owner.workspace).await;
    op.rule = rule_of(RESEND_INVITATION);
    assert_eq!(refusals(&scene, &op, owner.workspace).await, [Reason::ScopeMissing; 3]);
}

#[tokio::test]
async fn a_write_in_a_workspace_that_does_not_exist_is_refused() {
    let scene = Scene::set().await;
    let nowhere = WorkspaceId::new(new_uuid(NOW));
    let opened = scene.store.write_in(&system_op(NOW), nowhere).await;
    assert_eq!(refusal(opened), Reason::WorkspaceNotFound);
}

#[tokio::test]
async fn a_session_with_a_role_that_its_membership_does_not_have_is_looked_at_again() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    for role in Role::ALL {
        let mut tx = scene.system(NOW).await;
        let new = new_session(owner.workspace, owner.user, role, TokenKind::Session.mint().hash);
        let inserted = tx.insert_session(&new, LIFETIME).await.map_err(|error| error.reason());
        assert_eq!(inserted, if role == Role::Owner { Ok(()) } else { Err(Reason::Conflict) }, "{role:?}");
    }
}

#[tokio::test]
async fn the_number_of_owners_is_that_of_this_transaction_and_not_of_its_lock() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let admin = scene.seat(owner.workspace, "admin@acme.example", Role::Admin).await;
    let op = scene.op_by(&owner, LIST_USERS).await;
    let mut tx = scene.store.write(&op).await.unwrap();
    assert_eq!(tx.workspace(owner.workspace).await.unwrap().owner_count, 1);
    let member = tx.member(owner.workspace, admin.user).await.unwrap();
    tx.change_membership(owner.workspace, admin.user, Some(&member), MembershipChange::Role(Role::Owner))
        .await
        .unwrap();
    assert_eq!(tx.workspace(owner.workspace).await.unwrap().owner_count, 2);
}

#[tokio::test]
async fn of_more_than_twenty_devices_those_that_signed_in_longest_ago_are_forgotten() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let outside = scene.outside().await;
    let mut tokens = Vec::new();
    for number in 0..22 {
        let token = TokenKind::KnownDevice.mint().hash;
        let mut tx = scene.system(NOW).await;
        tx.insert_known_device(token, owner.user, NOW.plus((100 + number) * DAY)).await.unwrap();
        tx.commit().await.unwrap();
        tokens.push(token);
        let kept = outside.number("SELECT COUNT(*) FROM known_device").await;
        assert_eq!(kept, i64::try_from(tokens.len().min(20)).unwrap());
    }
    for (number, token) in tokens.into_iter().enumerate() {
        let known = scene.store.is_known_device(token, owner.user, NOW).await.unwrap();
        assert_eq!(known, number >= 2, "{number}");
    }
}
