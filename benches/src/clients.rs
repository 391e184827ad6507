//! Who calls: connections, credentials, and a workspace with people in it.

use std::time::{Duration, Instant};

use rolecall::grpc::pb::v1;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use v1::invitation_service_client::InvitationServiceClient;

use crate::Result;
use crate::program::Program;

const PATIENCE: Duration = Duration::from_secs(30);

/// A connection of its own.
pub async fn connect(address: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?)
}

/// A request with a credential.
pub fn with<M>(bearer: &AsciiMetadataValue, message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}

fn bearer(token: &str) -> Result<AsciiMetadataValue> {
    Ok(format!("Bearer {token}").parse()?)
}

/// Accepts an invitation with a new account.
pub async fn accept(channel: Channel, token: &str) -> Result<v1::AcceptInvitationResponse> {
    let request = v1::AcceptInvitationRequest {
        invitation_token: token.to_owned(),
        display_name: "Somebody New".to_owned(),
        password: "violet kettle orbit 77 lamp".to_owned(),
    };
    Ok(InvitationServiceClient::new(channel).accept_invitation(request).await?.into_inner())
}

/// A workspace with an Owner, Agents, and a service that asks about one of them.
pub struct Office {
    pub address: String,
    pub owner: AsciiMetadataValue,
    pub agents: Vec<String>,
    pub key: AsciiMetadataValue,
    pub session_token: String,
}

impl Office {
    pub async fn open(program: &Program, agents: usize) -> Result<Self> {
        let channel = connect(&program.address).await?;
        let (_, link) = program.bootstrap("Acme", "owner@acme.example")?;
        let owner = bearer(&accept(channel.clone(), &link).await?.session_token)?;
        let mut office = Self {
            address: program.address.clone(),
            owner,
            agents: Vec::new(),
            key: bearer(program.run(&["service-key", "create", "figures", "--scope", "check-access"])?.trim())?,
            session_token: String::new(),
        };
        for number in 0..agents {
            let email = format!("agent{number}@acme.example");
            let request = v1::CreateInvitationRequest {
                email: email.clone(),
                role: v1::Role::Agent.into(),
                request_id: String::new(),
            };
            InvitationServiceClient::new(channel.clone()).create_invitation(with(&office.owner, request)).await?;
            let accepted = accept(channel.clone(), &mailed(program, &email).await?).await?;
            office.agents.push(accepted.user.ok_or("no user")?.user_id);
            office.session_token = accepted.session_token;
        }
        Ok(office)
    }
}

/// Waits for the e-mail as its reader would.
async fn mailed(program: &Program, address: &str) -> Result<String> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(token) = program.mailed_token(address)? {
            return Ok(token);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err(format!("no e-mail for {address}").into())
}
