//! Generated clients that carry a credential.

use rolecall::grpc::pb::v1;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use v1::access_service_client::AccessServiceClient;
use v1::audit_service_client::AuditServiceClient;
use v1::invitation_service_client::InvitationServiceClient;
use v1::password_service_client::PasswordServiceClient;
use v1::session_service_client::SessionServiceClient;
use v1::user_service_client::UserServiceClient;
use v1::workspace_service_client::WorkspaceServiceClient;

/// A channel that adds the credential to what goes through it.
pub type Connection = InterceptedService<Channel, Credential>;

/// Clients of all services for one caller.
#[derive(Clone)]
pub struct As {
    channel: Channel,
    credential: Credential,
}

#[derive(Clone, Default)]
pub struct Credential(Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>);

impl Interceptor for Credential {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        for (key, value) in &self.0 {
            request.metadata_mut().append(key.clone(), value.clone());
        }
        Ok(request)
    }
}

/// One piece of metadata.
pub fn metadata(key: &'static str, value: &str) -> (MetadataKey<Ascii>, MetadataValue<Ascii>) {
    (MetadataKey::from_static(key), value.parse().unwrap())
}

impl As {
    pub fn new(channel: Channel, token: Option<String>) -> Self {
        let bearer = |token| metadata("authorization", &format!("Bearer {token}"));
        Self { channel, credential: Credential(token.map(bearer).into_iter().collect()) }
    }

    /// Another caller on the same connection.
    pub fn with(&self, token: &str) -> Self {
        Self::new(self.channel.clone(), Some(token.to_owned()))
    }

    /// The same caller, sending one more piece of metadata.
    pub fn and(&self, key: &'static str, value: &str) -> Self {
        let mut more = self.clone();
        more.credential.0.push(metadata(key, value));
        more
    }

    /// The same caller, naming a workspace.
    pub fn in_workspace(&self, id: &str) -> Self {
        self.and("rolecall-workspace-id", id)
    }

    /// Calls any method with a message as bytes, and answers with the response's.
    pub async fn call(&self, path: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
        self.raw(path, message).await.map(Response::into_inner)
    }

    pub fn connection(&self) -> Connection {
        InterceptedService::new(self.channel.clone(), self.credential.clone())
    }

    pub fn users(&self) -> UserServiceClient<Connection> {
        UserServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn invitations(&self) -> InvitationServiceClient<Connection> {
        InvitationServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn sessions(&self) -> SessionServiceClient<Connection> {
        SessionServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn passwords(&self) -> PasswordServiceClient<Connection> {
        PasswordServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn workspaces(&self) -> WorkspaceServiceClient<Connection> {
        WorkspaceServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn access(&self) -> AccessServiceClient<Connection> {
        AccessServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }

    pub fn audit(&self) -> AuditServiceClient<Connection> {
        AuditServiceClient::with_interceptor(self.channel.clone(), self.credential.clone())
    }
}
