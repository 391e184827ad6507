//! Many short histories, each in a workspace of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use rolecall::authz::ServiceScope;
use rolecall::model::Role;

use super::checker::explains;
use super::model::{Act, Operation, PEOPLE, State};
use super::record::{Cast, Record};
use crate::replicas::{Server, number_from};
use crate::support::{Dice, World};

const CLIENTS: usize = 8;
const OPERATIONS: usize = 6;
const FIRST: [Role; PEOPLE] = [Role::Owner, Role::Owner, Role::Admin, Role::Agent];

fn some_operation(by: usize, dice: &mut Dice) -> Operation {
    let whom = dice.below(PEOPLE);
    let act = match dice.below(16) {
        0..=6 => Act::Change(whom, dice.pick(&Role::ALL)),
        7 => Act::Remove(whom),
        8 => Act::Leave,
        _ => Act::Look(whom),
    };
    Operation { by, act }
}

async fn cast(world: &World, key: String, round: usize) -> Cast {
    let email = |one: usize| format!("person-{round}-{one}@acme.example");
    let owner = world.workspace(&format!("Round {round}"), &email(0)).await;
    let mut people = vec![owner.clone()];
    for (one, role) in FIRST.iter().enumerate().skip(1) {
        people.push(world.join(&owner, &email(one), *role).await);
    }
    Cast { people: people.try_into().unwrap(), key }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_overlapping_operations_on_two_replicas_answer_has_a_legal_serial_order() {
    let rounds = number_from("ROLECALL_HISTORY_ROUNDS", 60);
    let server = Server::fast();
    let worlds = Arc::new(server.worlds::<2>().await);
    let scopes = [ServiceScope::CheckAccess, ServiceScope::CheckUserAccess];
    let key = worlds[0].service_key("histories", &scopes, None).await;
    let mut seen = BTreeMap::<String, usize>::new();
    for round in 0..rounds {
        let cast = Arc::new(cast(&worlds[round % 2], key.clone(), round).await);
        let record = Arc::new(Record::default());
        let clients = (0..CLIENTS).map(|client| {
            let (cast, record, replica) = (Arc::clone(&cast), Arc::clone(&record), worlds[client / PEOPLE].nobody());
            tokio::spawn(async move {
                let mut dice = Dice::new((round * CLIENTS + client) as u64);
                for _ in 0..OPERATIONS {
                    let operation = some_operation(client % PEOPLE, &mut dice);
                    record.make(&cast, &replica, operation, &mut dice).await;
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        let history = record.events();
        assert!(explains(State(FIRST.map(Some)), &history, None), "no order explains round {round}: {history:#?}");
        for event in history {
            *seen.entry(event.end.map_or_else(|| "unknown".to_owned(), |(_, answer)| answer)).or_default() += 1;
        }
    }
    for answer in ["OK", "LAST_OWNER", "OWNER_REQUIRED", "ROLE_TOO_LOW", "SESSION_ENDED", "USER_REMOVED", "unknown"] {
        assert!(seen.contains_key(answer), "{answer} was never seen: {seen:?}");
    }
    eprintln!("{rounds} histories of {} operations: {seen:?}", CLIENTS * OPERATIONS);
    worlds[0].outside().await.assert_whole().await;
}
