//! Leases: who may settle an e-mail, and when another may claim it.

use rolecall::clock::Timestamp;
use rolecall::store::{EmailSubject, LeasedEmail, Settlement};

use super::SECOND;
use super::scene::{NOW, Scene};

/// Queues one e-mail at [`NOW`].
async fn queue(scene: &Scene) {
    let owner = scene.workspace("owner@acme.example").await;
    let mut tx = scene.system(NOW).await;
    let subject = EmailSubject::PasswordReset { user: Some(owner.user), issue: 1 };
    tx.enqueue_email(&owner.account.email, subject).await.unwrap();
    tx.commit().await.unwrap();
}

/// The one e-mail that there is, if it can be claimed.
async fn lease(scene: &Scene, now: Timestamp, until: Timestamp) -> Option<LeasedEmail> {
    let mut tx = scene.system(now).await;
    let mut leased = tx.lease_emails(10, until).await.unwrap();
    assert!(leased.len() <= 1);
    tx.commit().await.unwrap();
    leased.pop()
}

async fn settle(scene: &Scene, lease: &LeasedEmail, now: Timestamp, settlement: Settlement) -> bool {
    let mut tx = scene.system(now).await;
    let ours = tx.settle_email(lease, true, settlement).await.unwrap();
    tx.commit().await.unwrap();
    ours
}

async fn is_due(scene: &Scene, now: Timestamp) -> bool {
    let mut tx = scene.system(now).await;
    !tx.lease_emails(10, now.plus(SECOND)).await.unwrap().is_empty()
}

#[tokio::test]
async fn a_lease_is_taken_over_when_it_has_run_out_and_only_its_new_holder_settles() {
    let scene = Scene::set().await;
    queue(&scene).await;
    let end = NOW.plus(60 * SECOND);
    let first = lease(&scene, NOW, end).await.unwrap();
    let just_before = Timestamp::from_micros(end.as_micros() - 1);
    assert!(lease(&scene, just_before, end.plus(SECOND)).await.is_none(), "it was taken from its holder");
    assert!(!is_due(&scene, just_before).await);
    assert_eq!(scene.store.next_email_due().await.unwrap(), Some(end));

    let later = end.plus(60 * SECOND);
    let second = lease(&scene, end, later).await.unwrap();
    assert_ne!(second.lease_id, first.lease_id);
    assert!(!settle(&scene, &first, end, Settlement::Done).await, "the lost lease settled");
    assert_eq!(scene.store.next_email_due().await.unwrap(), Some(later), "the lost lease changed something");

    assert!(settle(&scene, &second, end, Settlement::Done).await);
    assert_eq!(scene.store.next_email_due().await.unwrap(), None);
    assert!(!settle(&scene, &second, end, Settlement::RetryAt(later)).await, "it was settled twice");
    assert!(lease(&scene, later, later.plus(SECOND)).await.is_none(), "a settled e-mail was claimed");
}

#[tokio::test]
async fn a_lease_that_ran_out_still_settles_while_nobody_has_taken_over() {
    let scene = Scene::set().await;
    queue(&scene).await;
    let first = lease(&scene, NOW, NOW.plus(SECOND)).await.unwrap();
    assert!(settle(&scene, &first, NOW.plus(60 * SECOND), Settlement::Done).await);
    assert!(!is_due(&scene, NOW.plus(60 * SECOND)).await);
}

#[tokio::test]
async fn an_email_to_be_tried_again_is_free_at_its_time_and_remembers_its_attempts() {
    let scene = Scene::set().await;
    queue(&scene).await;
    let again = NOW.plus(5 * SECOND);
    let first = lease(&scene, NOW, NOW.plus(60 * SECOND)).await.unwrap();
    assert!(settle(&scene, &first, NOW, Settlement::RetryAt(again)).await);
    assert_eq!(scene.store.next_email_due().await.unwrap(), Some(again));
    assert!(!is_due(&scene, NOW.plus(4 * SECOND)).await);
    let second = lease(&scene, again, again.plus(SECOND)).await.unwrap();
    assert_eq!((first.attempt_count, second.attempt_count), (0, 1));
}

#[tokio::test]
async fn a_claim_whose_transaction_is_dropped_claims_nothing() {
    let scene = Scene::set().await;
    queue(&scene).await;
    let mut tx = scene.system(NOW).await;
    assert_eq!(tx.lease_emails(10, NOW.plus(60 * SECOND)).await.unwrap().len(), 1);
    drop(tx);
    // Until its end has got to the server, others pass over what it had claimed.
    for _ in 0..1_000 {
        if lease(&scene, NOW, NOW.plus(SECOND)).await.is_some() {
            return;
        }
    }
    panic!("it is still claimed");
}
