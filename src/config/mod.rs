//! What can be configured: one section a file, plain data that validates itself and names the flag at fault.

mod database;
mod grpc;
mod limits;
mod mail;
mod quotas;
mod security;
mod tls;

pub use database::{DatabaseConfig, DatabaseTarget};
pub use grpc::{Cidr, GrpcConfig, socket_address};
pub use limits::LimitConfig;
pub use mail::{LinkConfig, MailConfig};
pub use quotas::{Quota, QuotaConfig};
pub use security::SecurityConfig;
pub use tls::TlsConfig;

/// What is wrong with the configuration, in one line that names the flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{flag}: {problem}")]
pub struct ConfigError {
    pub flag: &'static str,
    pub problem: String,
}

impl ConfigError {
    pub fn new(flag: &'static str, problem: impl Into<String>) -> Self {
        Self { flag, problem: problem.into() }
    }
}
