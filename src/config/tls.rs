//! Transport security.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;

/// The files of TLS. All of them are PEM, and read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct TlsConfig {
    /// Serve TLS with this certificate (PEM: its own first, then those of its issuers)
    #[arg(long, env = "ROLECALL_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key (PEM, not encrypted)
    #[arg(long, env = "ROLECALL_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Take only clients with a certificate from one of these issuers (PEM): mutual TLS
    #[arg(long, env = "ROLECALL_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// How often the files are looked at. Changed ones count for new connections; bad ones are logged and change nothing
    #[arg(long, env = "ROLECALL_TLS_RELOAD_INTERVAL", value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    pub tls_reload_interval: Duration,
}

impl Default for TlsConfig {
    /// What the flags default to: no TLS.
    fn default() -> Self {
        Self { tls_cert: None, tls_key: None, tls_client_ca: None, tls_reload_interval: Duration::from_secs(10) }
    }
}

impl TlsConfig {
    pub fn enabled(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// # Errors
    /// If one flag lacks another.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let lacks = |flag, other| Err(ConfigError::new(flag, format!("{other} is missing; they go together")));
        match (&self.tls_cert, &self.tls_key, &self.tls_client_ca) {
            (Some(_), None, _) => lacks("--tls-cert", "--tls-key"),
            (None, Some(_), _) => lacks("--tls-key", "--tls-cert"),
            (None, None, Some(_)) => lacks("--tls-client-ca", "--tls-cert"),
            _ if self.tls_reload_interval.is_zero() => {
                Err(ConfigError::new("--tls-reload-interval", "must be longer than nothing"))
            }
            _ => Ok(()),
        }
    }
}
