//! Calls that are made at the same moment. What they answer, and what they leave behind, must be what some order of them
//! one after the other would give.

mod database;
mod invitations;
mod owners;
mod passwords;
mod requests;
mod rights;
mod sessions;

use std::collections::HashMap;

use rolecall::grpc::pb::v1;
use rolecall::model::Role;

use crate::support::{Dice, World, token_in};

/// Starts all calls at once and answers their results in the same order.
pub async fn at_once<F>(calls: Vec<F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let started: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(started.len());
    for call in started {
        results.push(call.await.unwrap());
    }
    results
}

/// Lets other tasks go first, so many times.
pub async fn yields(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// From no time at all to about as long as a call takes, each magnitude as often. For [`yields`].
pub fn some_while(dice: &mut Dice) -> usize {
    let most = 1 << dice.below(14);
    dice.below(most)
}

/// All orders of `count` things, by index.
pub fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for shorter in orders(count - 1) {
        for place in 0..count {
            let mut order = shorter.clone();
            order.insert(place, count - 1);
            all.push(order);
        }
    }
    all
}

/// Sends all e-mail that is due to nowhere, and answers the newest token for each address.
pub async fn links(world: &World) -> HashMap<String, String> {
    let mut tokens = HashMap::new();
    loop {
        let claimed = world.app.claim_emails(100).await.unwrap();
        if claimed.is_empty() {
            return tokens;
        }
        for lease in claimed {
            if let Some(outgoing) = world.app.mint_email(&lease).await.unwrap() {
                tokens.insert(outgoing.email.to.clone(), token_in(&outgoing.email.text));
                world.app.settle_email(&outgoing, &Ok(())).await.unwrap();
            }
        }
    }
}

pub fn create(email: &str, role: Role, request_id: &str) -> v1::CreateInvitationRequest {
    v1::CreateInvitationRequest { email: email.into(), role: role.number(), request_id: request_id.into() }
}

pub fn accept(token: &str, password: &str) -> v1::AcceptInvitationRequest {
    v1::AcceptInvitationRequest {
        invitation_token: token.into(),
        display_name: "Somebody New".into(),
        password: password.into(),
    }
}

pub fn change_role(user_id: &str, role: Role) -> v1::ChangeUserRoleRequest {
    v1::ChangeUserRoleRequest { user_id: user_id.into(), role: role.number() }
}

/// A UUID of this number.
pub fn request_id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}
