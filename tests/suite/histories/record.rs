//! Makes operations and writes down when each began, when it ended, and what it answered.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rolecall::grpc::pb::v1;
use rolecall::grpc::pb::v1::check_access_request::{Requirement, Subject};
use rolecall::model::Role;
use tonic::{Response, Status};

use super::checker::Event;
use super::model::{Act, Operation, PEOPLE};
use crate::races::{some_while, yields};
use crate::support::{As, Dice, Person, outcome};

/// One history. Its clock only counts.
#[derive(Default)]
pub struct Record {
    clock: AtomicU64,
    events: Mutex<Vec<Event>>,
}

/// Whom and with what the operations are made.
pub struct Cast {
    pub people: [Person; PEOPLE],
    /// A key of another service.
    pub key: String,
}

impl Record {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    /// Makes an operation through this replica. Some are given up before they are answered.
    pub async fn make(&self, cast: &Cast, replica: &As, operation: Operation, dice: &mut Dice) {
        let start = self.now();
        let call = call(cast, replica, operation);
        let answer = if dice.below(12) == 0 {
            tokio::select! {
                biased;
                answer = call => Some(answer),
                () = yields(some_while(dice)) => None,
            }
        } else {
            Some(call.await)
        };
        let end = answer.map(|answer| (self.now(), answer));
        self.events.lock().unwrap().push(Event { operation, start, end });
    }
}

async fn call(cast: &Cast, replica: &As, Operation { by, act }: Operation) -> String {
    fn said<T>(result: Result<Response<T>, Status>) -> String {
        outcome(&result)
    }
    let caller = replica.with(&cast.people[by].token);
    match act {
        Act::Change(whom, role) => said(caller.change_role(&cast.people[whom].user_id, role).await),
        Act::Remove(whom) => said(caller.remove(&cast.people[whom].user_id).await),
        Act::Leave => said(caller.leave().await),
        Act::Look(whom) => {
            let key = replica.with(&cast.key).in_workspace(&cast.people[whom].workspace_id);
            let check = v1::CheckAccessRequest {
                subject: Some(Subject::UserId(cast.people[whom].user_id.clone())),
                requirement: Some(Requirement::MinimumRole(Role::Agent.number())),
            };
            let answer = key.access().check_access(check).await.unwrap().into_inner();
            assert_eq!(answer.allowed, answer.denial.is_none());
            match Role::from_number(answer.role) {
                Some(role) => role.name().to_owned(),
                None => answer.denial.unwrap().reason().as_str_name().trim_start_matches("DENIAL_REASON_").to_owned(),
            }
        }
    }
}
