//! TLS: the certificate, its key, and whose client certificates count.
//!
//! The files are looked at again and again. What is new counts for new connections; those that are open go on. Files
//! that are bad, or do not go together since only half of them has been written yet, change nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::config::{ConfigError, TlsConfig};

/// The one protocol that is spoken.
const HTTP2: &[u8] = b"h2";
/// No certificate or key is larger; what is, is another file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// What TLS is served with.
#[derive(Clone)]
pub struct Tls(Arc<Shared>);

struct Shared {
    files: Files,
    interval: Duration,
    current: RwLock<Arc<ServerConfig>>,
    /// Of what the current one was made.
    print: [u8; 32],
}

struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl Tls {
    /// Reads the files, if there are any.
    ///
    /// # Errors
    /// Names the flag whose file cannot be read or used.
    pub fn load(config: &TlsConfig) -> Result<Option<Self>, ConfigError> {
        let (Some(cert), Some(key)) = (config.tls_cert.clone(), config.tls_key.clone()) else {
            return Ok(None);
        };
        let files = Files { cert, key, client_ca: config.tls_client_ca.clone() };
        let content = files.read()?;
        let current = RwLock::new(Arc::new(content.server_config()?));
        let (interval, print) = (config.tls_reload_interval, content.print());
        Ok(Some(Self(Arc::new(Shared { files, interval, current, print }))))
    }

    /// Does the handshake.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let current = Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(current).accept(stream).await
    }

    /// Takes up what changes, for ever.
    pub async fn keep_current(&self) {
        // Of what was last tried: the same mistake is told once.
        let mut seen = Ok(self.0.print);
        loop {
            tokio::time::sleep(self.0.interval).await;
            let shared = Arc::clone(&self.0);
            let read = tokio::task::spawn_blocking(move || {
                let content = shared.files.read()?;
                let print = content.print();
                Ok::<_, ConfigError>((print, content.server_config()))
            });
            let Ok(read) = read.await else { continue };
            let (now, made) = match read {
                Ok((print, made)) => (Ok(print), made),
                Err(error) => (Err(error.to_string()), Err(error)),
            };
            if now == seen {
                continue;
            }
            seen = now;
            match made {
                Ok(config) => {
                    *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                    tracing::info!("the TLS files have changed; new connections are served with the new ones");
                }
                Err(error) => tracing::error!(%error, "the new TLS files are of no use; the old ones stay"),
            }
        }
    }
}

impl Files {
    fn read(&self) -> Result<Content, ConfigError> {
        let client_ca = self.client_ca.as_deref().map(|path| read("--tls-client-ca", path)).transpose()?;
        Ok(Content { cert: read("--tls-cert", &self.cert)?, key: read("--tls-key", &self.key)?, client_ca })
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let cannot =
        |problem: &dyn std::fmt::Display| ConfigError::new(flag, format!("cannot read {}: {problem}", path.display()));
    let found = std::fs::metadata(path).map_err(|error| cannot(&error))?;
    if !found.is_file() || found.len() > MAX_FILE_BYTES {
        return Err(cannot(&"it is no PEM file"));
    }
    std::fs::read(path).map_err(|error| cannot(&error))
}

/// What stands in the files.
struct Content {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Content {
    fn print(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for part in [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten() {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    fn server_config(&self) -> Result<ServerConfig, ConfigError> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates("--tls-cert", &self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| ConfigError::new("--tls-key", "holds no private key in PEM that is not encrypted"))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ConfigError::new("--tls-cert", error.to_string()))?;
        let builder = match &self.client_ca {
            Some(pem) => builder.with_client_cert_verifier(verifier(pem, provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| ConfigError::new("--tls-key", format!("does not go with --tls-cert: {error}")))?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(config)
    }
}

fn certificates(flag: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| ConfigError::new(flag, "holds no certificate in PEM"))
}

fn verifier(
    pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn tokio_rustls::rustls::server::danger::ClientCertVerifier>, ConfigError> {
    const FLAG: &str = "--tls-client-ca";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(FLAG, pem)? {
        roots.add(certificate).map_err(|error| ConfigError::new(FLAG, error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| ConfigError::new(FLAG, error.to_string()))
}
