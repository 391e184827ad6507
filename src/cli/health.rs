//! `rolecall health`

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{Failure, Outcome};

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub struct Health {
    /// Where the server listens. An unspecified address (0.0.0.0) is asked on loopback
    #[arg(long, env = "ROLECALL_GRPC_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    grpc_listen: SocketAddr,
}

impl Health {
    pub async fn run(self) -> Outcome {
        let address = reachable(self.grpc_listen);
        let failed = |what: &str| Failure::Failed(format!("the server at {address} {what}"));
        let endpoint =
            Endpoint::from_shared(format!("http://{address}")).map_err(|_| failed("has no valid address"))?;
        let channel = endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect().await;
        let channel = channel.map_err(|_| failed("cannot be reached"))?;
        let request = HealthCheckRequest { service: String::new() };
        let answer = HealthClient::new(channel).check(request).await.map_err(|_| failed("does not answer"))?;
        if answer.into_inner().status() == ServingStatus::Serving {
            println!("serving");
            Ok(())
        } else {
            Err(failed("is not serving"))
        }
    }
}

fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
