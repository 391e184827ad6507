//! A workspace in a program that runs, with people in it whose address and password hash are all that counts.

use std::path::Path;

use rolecall::grpc::pb::v1;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, Endpoint};
use v1::invitation_service_client::InvitationServiceClient;

use crate::Result;
use crate::program::Program;

/// Where good clients come from, so that what an attacker uses up is not theirs.
const ELSEWHERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

pub async fn connect(address: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    Ok(endpoint.local_address(Some(ELSEWHERE)).connect().await?)
}

pub fn with<M>(bearer: &AsciiMetadataValue, message: M) -> Request<M> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer.clone());
    request
}

pub fn bearer(token: &str) -> Result<AsciiMetadataValue> {
    Ok(format!("Bearer {token}").parse()?)
}

/// Founds a workspace and answers its Owner's session token.
pub async fn found(program: &Program) -> Result<String> {
    let (_, link) = program.bootstrap("Acme", "owner@acme.example")?;
    let request = v1::AcceptInvitationRequest {
        invitation_token: link,
        display_name: "Olga Owner".to_owned(),
        password: "violet kettle orbit 77 lamp".to_owned(),
    };
    let mut invitations = InvitationServiceClient::new(connect(&program.address).await?);
    Ok(invitations.accept_invitation(request).await?.into_inner().session_token)
}

/// Gives each of these addresses an account in the workspace, with the Owner's password.
pub async fn populate(folder: &Path, addresses: &[String]) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(folder.join("rolecall.db"));
    let pool = SqlitePool::connect_with(options.busy_timeout(std::time::Duration::from_secs(20))).await?;
    let mut tx = pool.begin().await?;
    for address in addresses {
        sqlx::query(
            "INSERT INTO user_account (id, email, display_name, password_hash, revision, created_at, reset_issue)
             SELECT randomblob(16), ?, display_name, password_hash, 0, created_at, 0 FROM user_account
             WHERE email = 'owner@acme.example'",
        )
        .bind(address)
        .execute(&mut *tx)
        .await?;
    }
    // An Agent.
    sqlx::query(
        "INSERT INTO membership (workspace_id, user_id, role, email, display_name, search_text, joined_at)
         SELECT workspace.id, person.id, 1, person.email, person.display_name, '', person.created_at
         FROM workspace, user_account AS person WHERE person.email <> 'owner@acme.example'",
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    pool.close().await;
    Ok(())
}
