//! `rolecall health`

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{Failure, Outcome};

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub struct Health {
    /// Where the server listens, or is reached: ADDRESS:PORT or NAME:PORT. An unspecified address (0.0.0.0) is asked on
    /// loopback
    #[arg(long, env = "ROLECALL_GRPC_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    grpc_listen: Target,

    /// Ask over TLS, and trust certificates of these issuers (PEM)
    #[arg(long, env = "ROLECALL_TLS_CA", value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// The name that the server's certificate must be for [default: the address or name]
    #[arg(long, env = "ROLECALL_TLS_DOMAIN", value_name = "NAME", requires = "tls_ca")]
    tls_domain: Option<String>,

    /// For a server that wants certificates of its clients: ours (PEM)
    #[arg(
        long,
        env = "ROLECALL_TLS_CLIENT_CERT",
        value_name = "FILE",
        requires = "tls_client_key",
        requires = "tls_ca"
    )]
    tls_client_cert: Option<PathBuf>,

    /// Its private key (PEM)
    #[arg(long, env = "ROLECALL_TLS_CLIENT_KEY", value_name = "FILE", requires = "tls_client_cert")]
    tls_client_key: Option<PathBuf>,
}

impl Health {
    pub async fn run(self) -> Outcome {
        let address = &self.grpc_listen;
        // A server that speaks TLS hangs up on whoever does not.
        let hint = if self.tls_ca.is_some() { "" } else { "; if it serves TLS, say --tls-ca" };
        let failed = |what: &str| Failure::Failed(format!("the server at {address} {what}"));
        let scheme = if self.tls_ca.is_some() { "https" } else { "http" };
        let mut endpoint =
            Endpoint::from_shared(format!("{scheme}://{address}")).map_err(|_| failed("has no valid address"))?;
        if let Some(tls) = self.tls()? {
            endpoint = endpoint.tls_config(tls).map_err(|error| Failure::Usage(format!("--tls-ca: {error}")))?;
        }
        let channel = endpoint.connect_timeout(PATIENCE).timeout(PATIENCE).connect().await;
        let channel = channel.map_err(|error| failed(&format!("cannot be reached: {}{hint}", root_of(&error))))?;
        let request = HealthCheckRequest { service: String::new() };
        let answer = HealthClient::new(channel).check(request).await;
        let answer = answer.map_err(|error| failed(&format!("does not answer: {}{hint}", root_of(&error))))?;
        if answer.into_inner().status() == ServingStatus::Serving {
            println!("serving");
            Ok(())
        } else {
            Err(failed("is not serving"))
        }
    }

    fn tls(&self) -> Result<Option<ClientTlsConfig>, Failure> {
        let Some(ca) = &self.tls_ca else {
            return Ok(None);
        };
        let domain = self.tls_domain.clone().unwrap_or_else(|| self.grpc_listen.host.clone());
        let mut tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("--tls-ca", ca)?)).domain_name(domain);
        if let (Some(cert), Some(key)) = (&self.tls_client_cert, &self.tls_client_key) {
            let (cert, key) = (read("--tls-client-cert", cert)?, read("--tls-client-key", key)?);
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        Ok(Some(tls))
    }
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::Usage(format!("{flag}: cannot read {}: {error}", path.display())))
}

/// What is at the bottom of an error: the layers above it say "transport error".
fn root_of(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// Whom to ask.
#[derive(Clone)]
struct Target {
    /// An address, or a name.
    host: String,
    /// As it stands in a URL.
    authority: String,
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            let address = reachable(address);
            return Ok(Self { host: address.ip().to_string(), authority: address.to_string() });
        }
        let (host, port) = text.rsplit_once(':').ok_or("must have a port")?;
        let is_name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
        if !is_name || port.parse::<u16>().is_err() {
            return Err("must be ADDRESS:PORT or NAME:PORT");
        }
        Ok(Self { host: host.to_owned(), authority: text.to_owned() })
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
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
