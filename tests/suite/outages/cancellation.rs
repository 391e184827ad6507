//! Clients on PostgreSQL that hang up in the middle of their changes.

use std::sync::Arc;

use rolecall::model::Role;

use crate::races::{some_while, yields};
use crate::replicas::{Server, number_from};
use crate::support::{Dice, hex, ok};

const CLIENTS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_thousands_of_canceled_changes_a_thousand_calls_succeed_and_are_seen() {
    let cancellations = number_from("ROLECALL_CANCELLATIONS", 2_000);
    let server = Server::fast();
    let [world] = server.worlds().await;
    let world = Arc::new(world);
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    // Changes that were given up may still be made, so that others are made to somebody else.
    let hal = world.join(&owner, "hal@acme.example", Role::Agent).await;
    let hanging_up = (0..CLIENTS).map(|number| {
        let (world, owner, gil) = (Arc::clone(&world), owner.clone(), gil.user_id.clone());
        tokio::spawn(async move {
            let mut dice = Dice::new(number as u64);
            let mut canceled = 0;
            while canceled < cancellations / CLIENTS {
                let role = dice.pick(&[Role::Agent, Role::Manager, Role::Admin]);
                let (caller, patience) = (world.by(&owner), some_while(&mut dice));
                canceled += tokio::select! {
                    biased;
                    _ = caller.change_role(&gil, role) => 0,
                    () = yields(patience) => 1,
                };
            }
        })
    });
    for client in hanging_up.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let database = world.outside().await;
    let role_of_hal = format!("SELECT role FROM membership WHERE hex(user_id) = '{}'", hex(&hal.user_id));
    for number in 0..1_000 {
        let role = [Role::Agent, Role::Manager][number % 2];
        ok(world.by(&owner).change_role(&hal.user_id, role).await);
        if number % 10 == 0 {
            let there = database.number(&role_of_hal).await;
            assert_eq!(there, i64::from(role.number()), "an acknowledged change is not there");
        }
    }
    let changes = database.number("SELECT count(*) FROM audit_event WHERE action = 7").await;
    assert!(changes > 1_000, "no change that was given up got as far as the database");
    database.assert_whole().await;
}
