//! Passwords: changed by the present one, or by a mailed link.

use std::fs;
use std::time::Duration;

use rolecall::crypto::{PasswordPolicy, Passwords};
use rolecall::grpc::pb::v1;
use rolecall::mail::SendErrorKind;
use rolecall::model::Role;
use tonic::Code;

use crate::support::{PASSWORD, Person, Refused, World, refused, reset_token_in};

const NEW: &str = "copper lantern 31 meadow";
const OTHER: &str = "marble canyon 58 thistle";

async fn change(world: &World, person: &Person, current: &str, new: &str) -> Result<(), Refused> {
    let request = v1::ChangePasswordRequest { current_password: current.into(), new_password: new.into() };
    let answer = world.by(person).passwords().change_password(request).await;
    answer.map(|_| ()).map_err(|status| Refused::from_status(&status))
}

async fn ask(world: &World, email: &str) {
    let request = v1::RequestPasswordResetRequest { email: email.into() };
    world.nobody().passwords().request_password_reset(request).await.unwrap();
    world.deliver().await;
}

async fn reset(world: &World, token: &str, new: &str) -> Result<v1::ResetPasswordResponse, Refused> {
    let request = v1::ResetPasswordRequest { reset_token: token.into(), new_password: new.into() };
    let answer = world.nobody().passwords().reset_password(request).await;
    answer.map(tonic::Response::into_inner).map_err(|status| Refused::from_status(&status))
}

async fn sign_in(world: &World, email: &str, password: &str) -> Result<v1::SignInResponse, Refused> {
    let request = v1::SignInRequest { email: email.into(), password: password.into(), ..Default::default() };
    let answer = world.nobody().sessions().sign_in(request).await;
    answer.map(tonic::Response::into_inner).map_err(|status| Refused::from_status(&status))
}

async fn is_live(world: &World, token: &str) -> bool {
    world.with_token(token).sessions().get_session(v1::GetSessionRequest {}).await.is_ok()
}

async fn actions(world: &World, owner: &Person) -> Vec<v1::AuditAction> {
    let list = v1::ListAuditEventsRequest::default();
    let events = world.by(owner).audit().list_audit_events(list).await.unwrap().into_inner().events;
    events.iter().map(v1::AuditEvent::action).collect()
}

#[tokio::test]
async fn a_new_password_ends_every_other_sign_in_and_the_old_password() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let elsewhere = world.sign_in("owner@acme.example").await;
    change(&world, &owner, PASSWORD, NEW).await.unwrap();
    assert!(is_live(&world, &owner.token).await);
    assert!(!is_live(&world, &elsewhere.token).await);
    assert_eq!(sign_in(&world, &owner.email, PASSWORD).await.unwrap_err().reason(), "INVALID_CREDENTIALS");
    assert!(sign_in(&world, &owner.email, NEW).await.is_ok());
    assert!(actions(&world, &owner).await.contains(&v1::AuditAction::PasswordChanged));
    world.stop().await;
}

#[tokio::test]
async fn a_wrong_present_password_changes_nothing() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let elsewhere = world.sign_in("owner@acme.example").await;
    let wrong = change(&world, &owner, OTHER, NEW).await.unwrap_err();
    assert_eq!((wrong.code, wrong.reason()), (Code::PermissionDenied, "PASSWORD_WRONG"));
    assert!(is_live(&world, &elsewhere.token).await);
    assert!(sign_in(&world, &owner.email, PASSWORD).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn a_new_password_is_held_to_the_policy_before_the_present_one_is_looked_at() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    for (new, reason) in [
        ("short", "PASSWORD_TOO_SHORT"),
        ("password12345678", "PASSWORD_COMMON"),
        ("owner@acme.example", "PASSWORD_PERSONAL"),
    ] {
        let refused = change(&world, &owner, "wrong as well, and long", new).await.unwrap_err();
        assert_eq!(refused.fields, [("new_password".into(), reason.into())]);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_mailed_link_sets_the_password_once_ends_all_sessions_and_begins_one() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    ask(&world, "Owner@Acme.example").await;
    let token = world.mail_to("owner@acme.example").pop().unwrap().reset_token();
    let answer = reset(&world, &token, NEW).await.unwrap();
    assert!(!is_live(&world, &owner.token).await);
    assert!(is_live(&world, &answer.session_token).await);
    assert_eq!(answer.user.unwrap().user_id, owner.user_id);
    assert_eq!(answer.session.unwrap().workspace_id, owner.workspace_id);
    let again = reset(&world, &token, OTHER).await.unwrap_err();
    assert_eq!((again.code, again.reason()), (Code::NotFound, "RESET_NOT_FOUND"));
    assert!(sign_in(&world, &owner.email, NEW).await.is_ok());
    let back = Person { token: answer.session_token, ..owner };
    assert!(actions(&world, &back).await.contains(&v1::AuditAction::PasswordReset));
    world.stop().await;
}

#[tokio::test]
async fn a_reset_link_is_good_for_thirty_minutes_to_the_second() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    for (seconds, reason) in [(30 * 60 - 1, None), (30 * 60, Some("RESET_NOT_FOUND"))] {
        ask(&world, &owner.email).await;
        let token = world.mail_to(&owner.email).pop().unwrap().reset_token();
        world.clock.advance(Duration::from_secs(seconds));
        let answer = reset(&world, &token, if reason.is_none() { NEW } else { OTHER }).await;
        assert_eq!(answer.err().as_ref().map(Refused::reason), reason);
    }
    assert!(sign_in(&world, &owner.email, NEW).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn only_the_newest_reset_link_works_and_a_changed_password_kills_it() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    ask(&world, &owner.email).await;
    world.tick();
    ask(&world, &owner.email).await;
    let mails = world.mail_to(&owner.email);
    assert_eq!(mails.len(), 2);
    assert_eq!(reset(&world, &mails[0].reset_token(), NEW).await.unwrap_err().reason(), "RESET_NOT_FOUND");
    change(&world, &owner, PASSWORD, OTHER).await.unwrap();
    assert_eq!(reset(&world, &mails[1].reset_token(), NEW).await.unwrap_err().reason(), "RESET_NOT_FOUND");
    assert!(sign_in(&world, &owner.email, OTHER).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn a_request_for_an_unknown_or_only_invited_address_is_ok_and_mails_nothing() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    world.invite(&owner, "gil@acme.example", Role::Agent).await;
    let before = world.mails().len();
    ask(&world, "nobody@acme.example").await;
    ask(&world, "gil@acme.example").await;
    assert_eq!(world.mails().len(), before);
    world.stop().await;
}

#[tokio::test]
async fn a_reset_without_a_membership_sets_the_password_and_begins_no_session() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let remove = v1::RemoveUserRequest { user_id: gil.user_id.clone() };
    world.by(&owner).users().remove_user(remove).await.unwrap();
    ask(&world, &gil.email).await;
    let token = world.mail_to(&gil.email).pop().unwrap().reset_token();
    assert_eq!(reset(&world, &token, NEW).await.unwrap(), v1::ResetPasswordResponse::default());
    let token = world.invite(&owner, &gil.email, Role::Agent).await;
    let accept = |password: &str| v1::AcceptInvitationRequest {
        invitation_token: token.clone(),
        display_name: String::new(),
        password: password.into(),
    };
    let old = refused(world.nobody().invitations().accept_invitation(accept(PASSWORD)).await);
    assert_eq!(old.reason(), "INVALID_CREDENTIALS");
    world.nobody().invitations().accept_invitation(accept(NEW)).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_refused_password_leaves_the_reset_link_alive() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    ask(&world, &owner.email).await;
    let token = world.mail_to(&owner.email).pop().unwrap().reset_token();
    let weak = reset(&world, &token, "owner@acme.example").await.unwrap_err();
    assert_eq!(weak.fields, [("new_password".into(), "PASSWORD_PERSONAL".into())]);
    assert!(reset(&world, &token, NEW).await.is_ok());
    world.stop().await;
}

#[tokio::test]
async fn a_token_of_another_kind_resets_nothing() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let invitation = world.invite(&owner, "gil@acme.example", Role::Agent).await;
    for token in
        [owner.token.clone(), owner.token.replace("rcs_", "rcp_"), invitation.replace("rci_", "rcp_"), String::new()]
    {
        assert_eq!(reset(&world, &token, NEW).await.unwrap_err().reason(), "RESET_NOT_FOUND");
    }
    world.stop().await;
}

#[tokio::test]
async fn of_two_resets_asked_for_before_the_mail_leaves_only_the_newest_is_mailed() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    for _ in 0..2 {
        let request = v1::RequestPasswordResetRequest { email: owner.email.clone() };
        world.nobody().passwords().request_password_reset(request).await.unwrap();
    }
    world.deliver().await;
    let mails = world.mail_to(&owner.email);
    assert_eq!(mails.len(), 1);
    reset(&world, &mails[0].reset_token(), NEW).await.unwrap();
}

#[tokio::test]
async fn a_reset_that_could_not_be_mailed_for_thirty_minutes_is_not_mailed() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    for (seconds, mails) in [(30 * 60, 0), (30 * 60 - 1, 1)] {
        let request = v1::RequestPasswordResetRequest { email: owner.email.clone() };
        world.nobody().passwords().request_password_reset(request).await.unwrap();
        world.wait(Duration::from_secs(seconds));
        world.deliver().await;
        assert_eq!(world.mail_to(&owner.email).len(), mails);
    }
}

#[tokio::test]
async fn a_reset_link_whose_mail_certainly_reached_nobody_is_taken_back() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let request = v1::RequestPasswordResetRequest { email: owner.email.clone() };
    world.nobody().passwords().request_password_reset(request).await.unwrap();
    let claimed = world.claim_email().await;
    let link = reset_token_in(&claimed.email.text);
    fs::write(world.mail_folder(), "a file where the folder would be").unwrap();
    let outcome = world.mailer.send(&claimed.email, Duration::from_secs(9)).await;
    assert_eq!(outcome.as_ref().unwrap_err().kind, SendErrorKind::Definite);
    world.app.settle_email(&claimed, &outcome).await.unwrap();
    assert_eq!(reset(&world, &link, NEW).await.unwrap_err().reason(), "RESET_NOT_FOUND");
}

#[tokio::test]
async fn a_reset_that_was_asked_for_before_a_password_change_is_not_mailed() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let request = v1::RequestPasswordResetRequest { email: owner.email.clone() };
    world.nobody().passwords().request_password_reset(request).await.unwrap();
    change(&world, &owner, PASSWORD, NEW).await.unwrap();
    world.deliver().await;
    assert_eq!(world.mail_to(&owner.email).len(), 0);
    ask(&world, &owner.email).await;
    assert_eq!(world.mail_to(&owner.email).len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_reset_that_is_mailed_again_after_a_crash_leaves_its_newest_link_alive_only() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let request = v1::RequestPasswordResetRequest { email: owner.email.clone() };
    world.nobody().passwords().request_password_reset(request).await.unwrap();
    let first = world.claim_email().await;
    // Nobody settles it: it is claimed anew when the lease is over.
    world.wait(Duration::from_secs(121));
    world.deliver().await;
    let second = world.mail_to(&owner.email).pop().unwrap().reset_token();
    assert_eq!(reset(&world, &reset_token_in(&first.email.text), NEW).await.unwrap_err().reason(), "RESET_NOT_FOUND");
    reset(&world, &second, NEW).await.unwrap();
    world.stop().await;
}

/// Puts this in the place of the only account's hash.
async fn store_hash(world: &World, hash: &str) {
    world.outside().await.run(&format!("UPDATE user_account SET password_hash = '{hash}'")).await;
}

async fn stored_hash(world: &World) -> String {
    world.outside().await.texts("SELECT password_hash FROM user_account").await.remove(0)
}

#[tokio::test]
async fn a_hash_of_lower_cost_is_made_anew_at_the_next_sign_in_and_a_dearer_one_stays() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let hash = async |memory: u32| {
        let pool = Passwords::new(PasswordPolicy { min_chars: 15 }, memory, 1, 1, 1).unwrap();
        pool.hash(PASSWORD.into()).await.unwrap().as_str().to_owned()
    };
    for (memory, after) in [(8, 64), (128, 128)] {
        let before = hash(memory).await;
        store_hash(&world, &before).await;
        sign_in(&world, &owner.email, OTHER).await.unwrap_err();
        assert_eq!(stored_hash(&world).await, before);
        sign_in(&world, &owner.email, PASSWORD).await.unwrap();
        let now = stored_hash(&world).await;
        assert!(now.starts_with(&format!("$argon2id$v=19$m={after},t=1,p=1$")), "{now}");
        assert_eq!(now == before, memory == after);
    }
    sign_in(&world, &owner.email, PASSWORD).await.unwrap();
    // The sessions from before stay: nothing was changed.
    assert!(is_live(&world, &owner.token).await);
    world.stop().await;
}

#[tokio::test]
async fn a_stored_hash_that_asks_for_more_than_the_permitted_cost_is_not_obeyed() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let rest = "MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
    for costs in ["m=262145,t=1,p=1", "m=64,t=17,p=1", "m=1024,t=1,p=17"] {
        store_hash(&world, &format!("$argon2id$v=19${costs}${rest}")).await;
        let refused = sign_in(&world, &owner.email, PASSWORD).await.unwrap_err();
        assert_eq!((refused.code, refused.reason()), (Code::Internal, "INTERNAL"), "{costs}");
        assert!(!refused.message.contains("cost"), "{}", refused.message);
    }
    world.stop().await;
}
