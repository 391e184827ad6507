//! The front door: what it lets in, what it turns away, and that nobody holds it up.

mod attacks;
pub mod certificates;
mod conduct;
mod connections;
mod floods;
mod frames;
mod paths;
mod shutdown;
mod tls;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use rolecall::grpc::pb::v1;
use tonic::transport::Endpoint;

use super::support::{As, Child, PASSWORD, Place, rolecall};

/// Where good clients come from, so that what an attacker uses up is not theirs.
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
/// More than the program needs for any of this, and far less than it would take if anything piled up.
const MOST_MEMORY_KIB: u64 = 300 * 1024;
/// How long a good client waits for an answer, with all of this machine's cores taken by the attackers and their victim.
const CALL: Duration = Duration::from_secs(20);
/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, with somebody signed in.
struct Server {
    child: Child,
    place: Place,
    token: String,
}

impl Server {
    async fn start(more: &[&str]) -> Self {
        let place = Place::empty();
        let url = place.url();
        let bootstrap =
            ["bootstrap", "--database-url", &url, "--workspace", "Acme", "--owner", "olga@acme.example", "--json"];
        let invitation = rolecall(&bootstrap).output().unwrap();
        let invitation: serde_json::Value = serde_json::from_slice(&invitation.stdout).unwrap();

        let mail = format!("file:{}", place.mail().display());
        let mut arguments = vec!["--log", "info", "serve", "--database-url", &url, "--mail-url", &mail];
        arguments.extend(["--grpc-listen", "127.0.0.1:0"]);
        arguments.extend(more);
        let mut command = rolecall(&arguments);
        command.stderr(Stdio::from(std::fs::File::create(place.folder().join("log")).unwrap()));
        let mut server = Self { child: Child::spawn(command), place, token: String::new() };
        let accept = v1::AcceptInvitationRequest {
            invitation_token: invitation["invitation_token"].as_str().unwrap().to_owned(),
            display_name: "Olga Owner".to_owned(),
            password: PASSWORD.to_owned(),
        };
        let accepted = server.nobody().await.invitations().accept_invitation(accept).await.unwrap();
        server.token = accepted.into_inner().session_token;
        server
    }

    fn address(&self) -> SocketAddr {
        self.child.address.parse().unwrap()
    }

    async fn client_from(&self, address: IpAddr, token: Option<String>) -> As {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.child.address)).unwrap();
        As::new(endpoint.local_address(Some(address)).timeout(CALL).connect().await.unwrap(), token)
    }

    async fn nobody(&self) -> As {
        self.client_from(ELSEWHERE, None).await
    }

    /// A good client on a new connection, from another address than the attackers'.
    async fn good(&self) -> As {
        self.client_from(ELSEWHERE, Some(self.token.clone())).await
    }

    /// That a good client is served (each call within its deadline) all the while that something goes on, and on a new connection afterwards, and that
    /// memory stays bounded.
    async fn serves_during<T>(&self, attack: impl Future<Output = T>) -> T {
        let good = self.good().await;
        let mut attack = pin!(tokio::time::timeout(PATIENCE, attack));
        let outcome = loop {
            let mut sessions = good.sessions();
            let mut call = pin!(sessions.get_session(v1::GetSessionRequest {}));
            tokio::select! {
                answer = &mut call => drop(answer.unwrap()),
                outcome = &mut attack => {
                    call.await.unwrap();
                    break outcome.unwrap();
                }
            }
        };
        self.good().await.sessions().get_session(v1::GetSessionRequest {}).await.unwrap();
        let memory = self.peak_memory_kib();
        assert!(memory < MOST_MEMORY_KIB, "{memory} KiB");
        outcome
    }

    /// The most memory that the program has had so far.
    fn peak_memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.place.folder().join("log")
    }

    /// That it ends by SIGTERM, in time and well. The clients of this runtime go on meanwhile, and answer that it goes.
    async fn ends(self) {
        let child = self.child;
        let status = tokio::task::spawn_blocking(move || child.terminate()).await.unwrap();
        assert_eq!(status, Some(0));
    }
}
