//! Leases: who may settle an e-mail, and when another may claim it.

use rolecall::clock::Timestamp;
use rolecall::model::OutboxId;
use rolecall::store::{EmailSubject, LeasedEmail, Settlement};

use super::scene::{NOW, Scene};
use super::{SECOND, on_each_database};

/// Queues one e-mail at [`NOW`].
async fn queued(scene: &Scene) -> OutboxId {
    let owner = scene.workspace("owner@acme.example").await;
    let mut tx = scene.system(NOW).await;
    let subject = EmailSubject::PasswordReset { user: Some(owner.user), issue: 1 };
    tx.enqueue_email(&owner.account.email, subject).await.unwrap();
    tx.commit().await.unwrap();
    let due = scene.store.due_emails(NOW, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    due[0].0
}

async fn lease(scene: &Scene, id: OutboxId, now: Timestamp, until: Timestamp) -> Option<LeasedEmail> {
    let mut tx = scene.system(now).await;
    let lease = tx.lease_email(id, until).await.unwrap();
    tx.commit().await.unwrap();
    lease
}

async fn settle(scene: &Scene, lease: &LeasedEmail, now: Timestamp, settlement: Settlement) -> bool {
    let mut tx = scene.system(now).await;
    let ours = tx.settle_email(lease, true, settlement).await.unwrap();
    tx.commit().await.unwrap();
    ours
}

async fn is_due(scene: &Scene, now: Timestamp) -> bool {
    !scene.store.due_emails(now, 10).await.unwrap().is_empty()
}

#[tokio::test]
async fn a_lease_is_taken_over_when_it_has_run_out_and_only_its_new_holder_settles() {
    on_each_database(async |scene| {
        let id = queued(&scene).await;
        let end = NOW.plus(60 * SECOND);
        let first = lease(&scene, id, NOW, end).await.unwrap();
        let just_before = Timestamp::from_micros(end.as_micros() - 1);
        assert!(lease(&scene, id, just_before, end.plus(SECOND)).await.is_none(), "it was taken from its holder");
        assert!(!is_due(&scene, just_before).await);
        assert_eq!(scene.store.next_email_due().await.unwrap(), Some(end));

        let later = end.plus(60 * SECOND);
        let second = lease(&scene, id, end, later).await.unwrap();
        assert_ne!(second.lease_id, first.lease_id);
        assert!(!settle(&scene, &first, end, Settlement::Done).await, "the lost lease settled");
        assert_eq!(scene.store.next_email_due().await.unwrap(), Some(later), "the lost lease changed something");

        assert!(settle(&scene, &second, end, Settlement::Done).await);
        assert_eq!(scene.store.next_email_due().await.unwrap(), None);
        assert!(!settle(&scene, &second, end, Settlement::RetryAt(later)).await, "it was settled twice");
        assert!(lease(&scene, id, later, later.plus(SECOND)).await.is_none(), "a settled e-mail was claimed");
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_ran_out_still_settles_while_nobody_has_taken_over() {
    on_each_database(async |scene| {
        let id = queued(&scene).await;
        let first = lease(&scene, id, NOW, NOW.plus(SECOND)).await.unwrap();
        assert!(settle(&scene, &first, NOW.plus(60 * SECOND), Settlement::Done).await);
        assert!(!is_due(&scene, NOW.plus(60 * SECOND)).await);
    })
    .await;
}

#[tokio::test]
async fn an_email_to_be_tried_again_is_free_at_its_time_and_remembers_its_attempts() {
    on_each_database(async |scene| {
        let id = queued(&scene).await;
        let again = NOW.plus(5 * SECOND);
        let first = lease(&scene, id, NOW, NOW.plus(60 * SECOND)).await.unwrap();
        assert!(settle(&scene, &first, NOW, Settlement::RetryAt(again)).await);
        assert_eq!(scene.store.next_email_due().await.unwrap(), Some(again));
        assert!(!is_due(&scene, NOW.plus(4 * SECOND)).await && is_due(&scene, again).await);
        let second = lease(&scene, id, again, again.plus(SECOND)).await.unwrap();
        assert_eq!((first.attempt_count, second.attempt_count), (0, 1));
    })
    .await;
}

#[tokio::test]
async fn a_claim_whose_transaction_is_dropped_claims_nothing() {
    on_each_database(async |scene| {
        let id = queued(&scene).await;
        let mut tx = scene.system(NOW).await;
        assert!(tx.lease_email(id, NOW.plus(60 * SECOND)).await.unwrap().is_some());
        drop(tx);
        assert!(lease(&scene, id, NOW, NOW.plus(SECOND)).await.is_some());
    })
    .await;
}
