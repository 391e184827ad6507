//! An empty service: it decodes a check, answers with what a check is answered with, and does nothing in between. Or one
//! thing: it checks a password, in a pool such as Rolecall's, or reads one session.

use rolecall::config::SecurityConfig;
use rolecall::crypto::{PasswordPolicy, Passwords};
use rolecall::grpc::pb::v1;
use rolecall::model::PasswordHash;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};
use v1::access_service_server::{AccessService, AccessServiceServer};

use crate::bare::Reader;
use crate::{Result, seed};

struct Echo(Work);

/// What is done before an answer.
enum Work {
    Nothing,
    Hash(Office),
    Read(Reader),
}

impl Work {
    async fn run(&self) -> std::result::Result<(), Status> {
        match self {
            Self::Nothing => Ok(()),
            Self::Hash(office) => office.check().await,
            Self::Read(reader) => {
                reader.read(reader.key()).await.map_err(|trouble| Status::internal(trouble.to_string()))
            }
        }
    }
}

/// Where passwords are checked.
struct Office {
    passwords: Passwords,
    hash: PasswordHash,
}

impl Office {
    fn open() -> Result<Self> {
        let costs = SecurityConfig::default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let policy = PasswordPolicy { min_chars: costs.password_min_length };
        let passwords = Passwords::new(policy, costs.password_hash_memory, costs.password_hash_iterations, 1, cores)?;
        Ok(Self { passwords, hash: PasswordHash::from_stored(seed::password_hash()?) })
    }

    async fn check(&self) -> std::result::Result<(), Status> {
        let right = async {
            let place = self.passwords.reserve()?;
            self.passwords.verify(&place, seed::PASSWORD.into(), Some(self.hash.clone())).await
        };
        match right.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Status::internal("the password is another")),
            Err(refused) => Err(Status::with_error_details(
                Code::ResourceExhausted,
                "the pool is full",
                ErrorDetails::with_retry_info(refused.retry_delay()),
            )),
        }
    }
}

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
        self.0.run().await?;
        Ok(Response::new(answer()))
    }

    async fn batch_check_access(
        &self,
        request: Request<v1::BatchCheckAccessRequest>,
    ) -> std::result::Result<Response<v1::BatchCheckAccessResponse>, Status> {
        self.0.run().await?;
        let results = request.into_inner().checks.iter().map(|_| answer()).collect();
        Ok(Response::new(v1::BatchCheckAccessResponse { results }))
    }
}

/// Serves until it is killed. What it does before an answer: nothing, or as told, `hashing` or `reading URL SESSIONS`.
pub async fn serve(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let work = match arguments.as_slice() {
        [] => Work::Nothing,
        ["hashing"] => Work::Hash(Office::open()?),
        ["reading", url, sessions] => Work::Read(Reader::open(url, sessions.parse()?).await?),
        other => return Err(format!("an empty service knows nothing of {other:?}").into()),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(Server::builder().add_service(AccessServiceServer::new(Echo(work))).serve_with_incoming(incoming).await?)
}
