//! Changes through the service.

use std::time::Instant;

use rolecall::grpc::pb::v1;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use v1::invitation_service_client::InvitationServiceClient;
use v1::user_service_client::UserServiceClient;

use crate::Result;
use crate::seed::{Seed, id, people_of};

#[derive(Clone, Copy)]
pub enum Change {
    Invite,
    Role,
    Remove,
}

pub struct Rate {
    pub per_second: f64,
    /// In milliseconds.
    pub p50: f64,
    pub p99: f64,
}

impl Change {
    pub const ALL: [Self; 3] = [Self::Invite, Self::Role, Self::Remove];

    pub fn name(self) -> &'static str {
        match self {
            Change::Invite => "CreateInvitation",
            Change::Role => "ChangeUserRole",
            Change::Remove => "RemoveUser",
        }
    }
}

/// Each client makes `count` changes, one after the other, in a workspace of its own.
pub async fn run(address: &str, seed: &Seed, change: Change, clients: usize, count: usize) -> Result<Rate> {
    let mut running = JoinSet::new();
    let mut ready = Vec::new();
    for (workspace, token) in seed.tokens.iter().enumerate().take(clients) {
        let bearer: AsciiMetadataValue = format!("Bearer {token}").parse()?;
        let channel = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?;
        ready.push((workspace, bearer, channel, seed.take(workspace, count)));
    }
    let start = Instant::now();
    for (workspace, bearer, channel, first) in ready {
        running.spawn(async move {
            let mut took = Vec::with_capacity(count);
            for number in 0..count {
                let begun = Instant::now();
                one(channel.clone(), &bearer, change, workspace, first + number).await?;
                took.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(took)
        });
    }
    let mut took = Vec::new();
    while let Some(done) = running.join_next().await {
        took.extend(done??);
    }
    let per_second = took.len() as f64 / start.elapsed().as_secs_f64();
    took.sort_by(f64::total_cmp);
    let at = |part: f64| took.get((took.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
    Ok(Rate { per_second, p50: at(0.5), p99: at(0.99) })
}

async fn one(
    channel: Channel,
    bearer: &AsciiMetadataValue,
    change: Change,
    workspace: usize,
    number: usize,
) -> Result<()> {
    match change {
        Change::Invite => {
            let request = v1::CreateInvitationRequest {
                email: format!("i{number}@example.com"),
                role: v1::Role::Agent.into(),
                request_id: String::new(),
            };
            InvitationServiceClient::new(channel).create_invitation(with(bearer, request)).await?;
        }
        Change::Role => {
            let role = if number.is_multiple_of(2) { v1::Role::Manager } else { v1::Role::Agent };
            let user_id = id(people_of(workspace) + 1).to_string();
            let request = v1::ChangeUserRoleRequest { user_id, role: role.into() };
            UserServiceClient::new(channel).change_user_role(with(bearer, request)).await?;
        }
        Change::Remove => {
            let request = v1::RemoveUserRequest { user_id: id(number).to_string() };
            UserServiceClient::new(channel).remove_user(with(bearer, request)).await?;
        }
    }
    Ok(())
}

fn with<M>(bearer: &AsciiMetadataValue, message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}
