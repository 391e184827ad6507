//! What becomes of the e-mail of an invitation.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rolecall::grpc::pb::v1;
use rolecall::mail::Mailer;
use rolecall::model::Role;
use rolecall::worker::outbox::deliver_due;
use tokio::task::{JoinHandle, spawn_blocking};
use v1::DeliveryState::{Failed, Queued, Sent};

use super::{HOUR, MINUTE, SECOND, WEEK};
use crate::support::{Mail, PASSWORD, Person, World, ok, refused};

const GIL: &str = "gil@acme.example";

async fn invite(world: &World, by: &Person) -> String {
    ok(world.by(by).create_invitation(GIL, Role::Agent).await).invitation.unwrap().invitation_id
}

async fn delivery(world: &World, by: &Person, id: &str) -> v1::InvitationDelivery {
    ok(world.by(by).get_invitation(id).await).invitation.unwrap().delivery.unwrap()
}

/// Puts a file where the folder would be: nothing can be written until it is taken away.
fn block(world: &World) {
    let _ = fs::remove_dir_all(world.mail_folder());
    fs::write(world.mail_folder(), "not a folder").unwrap();
}

fn unblock(world: &World) {
    fs::remove_file(world.mail_folder()).unwrap();
}

/// A mail server that answers `RCPT` as it is told, takes one conversation, and may hang up on the message.
fn mail_server(rcpt: &'static str, hang_up: bool) -> (Arc<Mailer>, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let mailer = Mailer::from_url(&url.into(), "Rolecall <no-reply@rolecall.example>").unwrap();
    let served = spawn_blocking(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let (mut message, mut in_message) = (String::new(), false);
        let mut answer = "220 ready";
        loop {
            if !answer.is_empty() && write!(stream, "{answer}\r\n").is_err() {
                return message;
            }
            let Some(Ok(line)) = lines.next() else { return message };
            answer = match line.get(..4).unwrap_or(&line) {
                "." if in_message && hang_up => return message,
                "." if in_message => {
                    in_message = false;
                    "250 taken"
                }
                _ if in_message => {
                    message += &line;
                    message += "\r\n";
                    ""
                }
                "RCPT" => rcpt,
                "DATA" => {
                    in_message = true;
                    "354 go ahead"
                }
                "QUIT" => "221 bye",
                _ => "250 fine",
            };
        }
    });
    (Arc::new(mailer), served)
}

#[tokio::test]
async fn an_e_mail_is_queued_then_sent() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let id = invite(&world, &owner).await;
    let queued = delivery(&world, &owner, &id).await;
    assert_eq!((queued.state(), queued.attempt_count, queued.last_attempt_time), (Queued, 0, None));
    world.tick();
    world.deliver().await;
    let sent = delivery(&world, &owner, &id).await;
    assert_eq!((sent.state(), sent.attempt_count, sent.last_error.as_str()), (Sent, 1, ""));
    assert_eq!(sent.last_attempt_time.unwrap().seconds, world.clock.now().as_micros() / 1_000_000);
    world.wait(HOUR);
    world.deliver().await;
    assert_eq!(world.mails().len(), 1);
}

#[tokio::test]
async fn while_the_transport_fails_it_is_tried_again_with_pauses_that_double() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    block(&world);
    let id = invite(&world, &owner).await;
    let mut pause = 5.0;
    for attempt in 1..=6 {
        world.deliver().await;
        let failed = delivery(&world, &owner, &id).await;
        assert_eq!((failed.state(), failed.attempt_count), (Queued, attempt));
        assert_eq!(failed.last_error, "the e-mail's file could not be written");
        let next = world.app.next_email_in().await.unwrap().unwrap();
        assert!((pause * 0.75..=pause * 1.25).contains(&next.as_secs_f64()), "{attempt}: {next:?}");
        world.wait(next - std::time::Duration::from_micros(1));
        assert!(world.app.claim_emails(9).await.unwrap().is_empty(), "it is tried before its time");
        world.wait(SECOND);
        pause *= 2.0;
    }
    unblock(&world);
    world.deliver().await;
    let sent = delivery(&world, &owner, &id).await;
    assert_eq!((sent.state(), sent.attempt_count, sent.last_error.as_str()), (Sent, 7, ""));
    world.accept(&world.mail_to(GIL)[0].token(), "Gil").await;
    // The links of the attempts that certainly reached nobody are gone.
    assert_eq!(world.outside().await.number("SELECT count(*) FROM invitation_token").await, 2);
}

#[tokio::test]
async fn what_cannot_be_sent_while_the_invitation_lives_has_failed() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    block(&world);
    let id = invite(&world, &owner).await;
    world.deliver().await;
    let mut owner = owner;
    while delivery(&world, &owner, &id).await.state() == Queued {
        world.wait(world.app.next_email_in().await.unwrap().unwrap());
        world.deliver().await;
        owner = world.sign_in("owner@acme.example").await;
    }
    let failed = delivery(&world, &owner, &id).await;
    assert_eq!((failed.state(), failed.last_error.as_str()), (Failed, "the e-mail's file could not be written"));
    // An hour at the most between two attempts, for seven days.
    assert!(failed.attempt_count > 130, "{failed:?}");
    assert_eq!(world.app.next_email_in().await.unwrap(), None);
    unblock(&world);
    world.wait(WEEK);
    world.deliver().await;
    assert_eq!(world.mails().len(), 0);
}

#[tokio::test]
async fn what_expired_before_anybody_tried_has_failed_without_an_attempt() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let id = invite(&world, &owner).await;
    world.wait(WEEK);
    world.deliver().await;
    let owner = world.sign_in(&owner.email).await;
    let failed = delivery(&world, &owner, &id).await;
    assert_eq!((failed.state(), failed.attempt_count, failed.last_attempt_time), (Failed, 0, None));
    assert_eq!(failed.last_error, "it expired before it could be sent");
    assert_eq!(world.mails().len(), 0);
    // Resending starts anew.
    let resent = ok(world.by(&owner).resend(&id).await).invitation.unwrap().delivery.unwrap();
    assert_eq!((resent.state(), resent.attempt_count, resent.last_error.as_str()), (Queued, 0, ""));
    world.deliver().await;
    assert_eq!(delivery(&world, &owner, &id).await.state(), Sent);
}

#[tokio::test]
async fn a_recipient_whom_the_server_refuses_for_good_is_not_tried_again() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let id = invite(&world, &owner).await;
    let (mailer, served) = mail_server("550 mailbox unavailable", false);
    assert_eq!(deliver_due(&world.app, &mailer).await.unwrap(), 1);
    served.await.unwrap();
    let failed = delivery(&world, &owner, &id).await;
    assert_eq!((failed.state(), failed.attempt_count), (Failed, 1));
    assert_eq!(failed.last_error, "the mail server refused the recipient: 550 mailbox unavailable");
    assert_eq!(world.app.next_email_in().await.unwrap(), None);
    assert_eq!(world.outside().await.number("SELECT count(*) FROM invitation_token").await, 1);
}

#[tokio::test]
async fn a_recipient_whom_the_server_refuses_for_now_is_tried_again() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let id = invite(&world, &owner).await;
    let (mailer, served) = mail_server("450 greylisted", false);
    deliver_due(&world.app, &mailer).await.unwrap();
    served.await.unwrap();
    let queued = delivery(&world, &owner, &id).await;
    assert_eq!((queued.state(), queued.attempt_count), (Queued, 1));
    world.wait(MINUTE);
    world.deliver().await;
    assert_eq!(delivery(&world, &owner, &id).await.state(), Sent);
}

#[tokio::test]
async fn when_nobody_knows_whether_it_arrived_it_is_sent_again_and_both_links_work() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let id = invite(&world, &owner).await;
    let (mailer, served) = mail_server("250 fine", true);
    deliver_due(&world.app, &mailer).await.unwrap();
    let arrived = Mail::parse(served.await.unwrap().as_bytes()).token();
    assert_eq!(delivery(&world, &owner, &id).await.state(), Queued);
    world.wait(MINUTE);
    world.deliver().await;
    let again = world.mail_to(GIL)[0].token();
    assert_ne!(arrived, again);
    assert_eq!(ok(world.nobody().preview(&again).await).email, GIL);
    world.accept(&arrived, "Gil").await;
}

#[tokio::test]
async fn what_is_canceled_before_it_was_sent_is_not_sent() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let id = invite(&world, &owner).await;
    ok(world.by(&owner).cancel(&id).await);
    world.deliver().await;
    world.wait(HOUR);
    world.deliver().await;
    assert_eq!(world.mails().len(), 0);
    assert_eq!(world.app.next_email_in().await.unwrap(), None);
}

#[tokio::test]
async fn what_is_resent_while_it_waits_goes_out_once_with_the_newest_link() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let id = invite(&world, &owner).await;
    ok(world.by(&owner).resend(&id).await);
    ok(world.by(&owner).resend(&id).await);
    world.deliver().await;
    let mails = world.mail_to(GIL);
    assert_eq!(mails.len(), 1);
    assert_eq!(delivery(&world, &owner, &id).await.state(), Sent);
    world.accept(&mails[0].token(), "Gil").await;
}

#[tokio::test]
async fn a_claim_is_taken_over_after_it_ran_out_and_not_before() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let id = invite(&world, &owner).await;
    let claimed = world.claim_email().await;
    world.wait(2 * MINUTE - SECOND);
    assert!(world.app.claim_emails(9).await.unwrap().is_empty());
    world.deliver().await;
    assert_eq!(world.mails().len(), 0);
    world.wait(SECOND);
    world.deliver().await;
    let sent = delivery(&world, &owner, &id).await;
    assert_eq!((sent.state(), world.mails().len()), (Sent, 1));
    // What the first worker has to say, late as it is, counts no more.
    world.tick();
    world.app.settle_email(&claimed, &Ok(())).await.unwrap();
    assert_eq!(delivery(&world, &owner, &id).await, sent);
}

#[tokio::test]
async fn a_mail_that_leaves_just_after_a_cancel_or_a_resend_carries_a_dead_link() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    for cancel in [true, false] {
        let id = invite(&world, &owner).await;
        let leaving = world.claim_email().await;
        let text = leaving.email.text.clone();
        let token = &text[text.find("rci_").unwrap()..][..47];
        if cancel {
            ok(world.by(&owner).cancel(&id).await);
        } else {
            ok(world.by(&owner).resend(&id).await);
        }
        world.app.settle_email(&leaving, &Ok(())).await.unwrap();
        let expected = if cancel { "INVITATION_CANCELED" } else { "INVITATION_SUPERSEDED" };
        assert_eq!(refused(world.nobody().accept(token, "Gil", PASSWORD).await).reason(), expected);
        if !cancel {
            assert_eq!(delivery(&world, &owner, &id).await.state(), Queued, "the old mail speaks for the new one");
        }
    }
}
