//! Where calls come in.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{ConfigError, LimitConfig, TlsConfig};

/// The gRPC server.
#[derive(Clone, Debug, clap::Args)]
pub struct GrpcConfig {
    /// Address and port to listen on; port 0 picks a free one
    #[arg(long, env = "ROLECALL_GRPC_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:50051", value_parser = socket_address)]
    pub grpc_listen: SocketAddr,

    /// Listen beyond loopback without TLS. Whoever can read the traffic can then read passwords and tokens
    #[arg(long, env = "ROLECALL_INSECURE_PLAINTEXT")]
    pub insecure_plaintext: bool,

    /// Peers (gateways) whose rolecall-client-address and rolecall-client-user-agent metadata is believed
    #[arg(long, env = "ROLECALL_TRUSTED_PEERS", value_name = "CIDR", value_delimiter = ',', num_args = 1..)]
    pub trusted_peers: Vec<Cidr>,

    /// Do not describe the API to clients that ask (gRPC server reflection)
    #[arg(long, env = "ROLECALL_NO_REFLECTION")]
    pub no_reflection: bool,

    /// The longest that a call may take, from 100ms to 1h; a sooner grpc-timeout of the caller counts
    #[arg(long, env = "ROLECALL_MAX_CALL_TIME", value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub max_call_time: Duration,

    /// Calls that may be in work at once; more are refused with OVERLOADED
    #[arg(long, env = "ROLECALL_MAX_CALLS_IN_FLIGHT", value_name = "NUMBER", default_value_t = 4096)]
    pub max_calls_in_flight: usize,

    #[command(flatten)]
    pub tls: TlsConfig,
    #[command(flatten)]
    pub limits: LimitConfig,
}

impl GrpcConfig {
    /// What the flags default to, on another address.
    pub fn on_loopback(grpc_listen: SocketAddr) -> Self {
        Self {
            grpc_listen,
            insecure_plaintext: false,
            trusted_peers: Vec::new(),
            no_reflection: false,
            max_call_time: Duration::from_secs(30),
            max_calls_in_flight: 4096,
            tls: TlsConfig::default(),
            limits: LimitConfig::default(),
        }
    }

    /// # Errors
    /// If it would listen beyond loopback without TLS and nobody said that this is meant, or a section of it is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.tls.validate()?;
        self.limits.validate()?;
        if !(Duration::from_millis(100)..=Duration::from_secs(60 * 60)).contains(&self.max_call_time) {
            return Err(ConfigError::new("--max-call-time", "must be from 100ms to 1h"));
        }
        if self.max_calls_in_flight == 0 {
            return Err(ConfigError::new("--max-calls-in-flight", "must be at least 1"));
        }
        if self.tls.enabled() && self.insecure_plaintext {
            return Err(ConfigError::new("--insecure-plaintext", "contradicts --tls-cert"));
        }
        if !self.grpc_listen.ip().is_loopback() && !self.tls.enabled() && !self.insecure_plaintext {
            return Err(ConfigError::new(
                "--grpc-listen",
                "beyond loopback, passwords and tokens would cross the network in clear; give --tls-cert and --tls-key, or put a TLS proxy in front and say --insecure-plaintext",
            ));
        }
        Ok(())
    }

    /// Whether what this peer says of its clients is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_peers.iter().any(|network| network.contains(peer))
    }
}

/// Reads the address to listen on.
pub fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "must be an IP address and a port, such as 127.0.0.1:50051 or [::1]:50051".to_owned())
}

/// A network such as 10.0.0.0/8, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr(ipnet::IpNet);

impl Cidr {
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl std::str::FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = text.parse::<ipnet::IpNet>().or_else(|_| text.parse::<IpAddr>().map(ipnet::IpNet::from));
        network.map(Self).map_err(|_| "must be a network such as 10.0.0.0/8".to_owned())
    }
}
