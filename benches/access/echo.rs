//! An empty service: it decodes a check, answers with what a check is answered with, and does nothing in between.

use rolecall::grpc::pb::v1;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use v1::access_service_server::{AccessService, AccessServiceServer};

use crate::Result;

struct Echo;

fn answer() -> v1::CheckAccessResponse {
    v1::CheckAccessResponse {
        allowed: true,
        denial: None,
        user_id: "00000002-0000-0000-0000-000000012345".to_owned(),
        workspace_id: "00000001-0000-0000-0000-000000012345".to_owned(),
        role: v1::Role::Agent.into(),
    }
}

#[tonic::async_trait]
impl AccessService for Echo {
    async fn check_access(
        &self,
        _: Request<v1::CheckAccessRequest>,
    ) -> std::result::Result<Response<v1::CheckAccessResponse>, Status> {
        Ok(Response::new(answer()))
    }

    async fn batch_check_access(
        &self,
        request: Request<v1::BatchCheckAccessRequest>,
    ) -> std::result::Result<Response<v1::BatchCheckAccessResponse>, Status> {
        let results = request.into_inner().checks.iter().map(|_| answer()).collect();
        Ok(Response::new(v1::BatchCheckAccessResponse { results }))
    }
}

/// Serves until it is killed.
pub async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(Server::builder().add_service(AccessServiceServer::new(Echo)).serve_with_incoming(incoming).await?)
}
