//! The outbox of several replicas: each e-mail goes out once, and what one left behind another takes over.

use std::collections::BTreeMap;
use std::time::Duration;

use rolecall::model::Role;

use super::Server;
use crate::races::at_once;
use crate::support::{World, ok};

const EMAILS: usize = 300;
const INVITERS: usize = 6;

/// How many e-mails each address got, from all replicas together.
fn received(worlds: &[World]) -> BTreeMap<String, usize> {
    let mut received = BTreeMap::new();
    for mail in worlds.iter().flat_map(World::mails) {
        *received.entry(mail.to).or_default() += 1;
    }
    received
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_replicas_that_send_at_once_send_each_email_once() {
    let server = Server::fast();
    let worlds = std::sync::Arc::new(server.worlds::<3>().await);
    let owner = worlds[0].workspace("Acme", "owner@acme.example").await;
    let inviting = (0..INVITERS).map(|inviter| {
        let caller = worlds[inviter % 3].by(&owner);
        async move {
            for number in 0..EMAILS / INVITERS {
                ok(caller.create_invitation(&format!("i{inviter}-{number}@acme.example"), Role::Agent).await);
            }
        }
    });
    at_once(inviting.collect()).await;
    let sending = (0..6).map(|number| {
        let worlds = std::sync::Arc::clone(&worlds);
        async move { worlds[number % 3].deliver().await }
    });
    at_once(sending.collect()).await;
    let received = received(&worlds[..]);
    assert_eq!(received.len(), EMAILS);
    assert_eq!(received.values().max(), Some(&1), "an e-mail was sent twice");
    let senders = worlds.iter().filter(|world| !world.mails().is_empty()).count();
    assert!(senders >= 2, "only one of them sent anything");
    worlds[0].outside().await.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replica_was_sending_when_it_died_another_one_sends_after_the_lease() {
    let server = Server::fast();
    let [dying, other] = server.worlds().await;
    let owner = dying.workspace("Acme", "owner@acme.example").await;
    ok(dying.by(&owner).create_invitation("gil@acme.example", Role::Agent).await);
    let outgoing = dying.claim_email().await;
    other.wait(Duration::from_secs(119));
    other.deliver().await;
    assert_eq!(other.mails().len(), 0, "it is still the other one's");
    other.wait(Duration::from_secs(1));
    other.deliver().await;
    assert_eq!(other.mail_to("gil@acme.example").len(), 1);
    // It was not dead but slow. Neither what it says counts, nor is anything sent again.
    dying.app.settle_email(&outgoing, &Ok(())).await.unwrap();
    other.wait(Duration::from_secs(24 * 60 * 60));
    other.deliver().await;
    assert_eq!(other.mail_to("gil@acme.example").len(), 1);
}
