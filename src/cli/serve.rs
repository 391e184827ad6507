//! `rolecall serve`

use std::future::Future;
use std::io::Write;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::{DatabaseConfig, GrpcConfig, MailConfig, QuotaConfig, SecurityConfig};
use crate::grpc;
use crate::mail::Mailer;
use crate::store::Store;
use crate::worker::Workers;

use super::lifecycle::{SchemaPolicy, app_on, open_store, told_to_stop};
use super::{Failure, Outcome};

/// How long what runs in the background may go on once the process was told to stop. With the grace for calls and what
/// comes after it, this ends the process within 20 seconds.
const WORKERS_GRACE: Duration = Duration::from_secs(17);
const CLOSING: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub struct Serve {
    #[command(flatten)]
    pub database: DatabaseConfig,
    #[command(flatten)]
    pub grpc: GrpcConfig,
    #[command(flatten)]
    pub mail: MailConfig,
    #[command(flatten)]
    pub security: SecurityConfig,
    #[command(flatten)]
    pub quotas: QuotaConfig,

    /// Refuse to start on an old schema instead of bringing it up to date
    #[arg(long, env = "ROLECALL_NO_MIGRATE")]
    pub no_migrate: bool,
}

impl Serve {
    pub async fn run(self) -> Outcome {
        let service = Service::open(self).await?;
        Box::pin(service.serve(told_to_stop())).await
    }
}

/// A service that has everything it needs and listens.
pub struct Service {
    pub app: App,
    pub address: std::net::SocketAddr,
    store: Store,
    mailer: Mailer,
    grpc: GrpcConfig,
    listener: grpc::Listener,
}

impl Service {
    /// Checks the whole configuration before anything is touched, then opens the database, the mail and the port.
    pub async fn open(config: Serve) -> Result<Self, Failure> {
        config.database.validate()?;
        config.grpc.validate()?;
        config.mail.links.validate()?;
        config.security.validate()?;
        let mail_url = SecretString::from(config.mail.mail_url);
        let mailer = Mailer::from_url(&mail_url, &config.mail.mail_from).map_err(|e| Failure::Usage(e.to_string()))?;
        let tls = grpc::Tls::load(&config.grpc.tls)?;

        let policy = if config.no_migrate { SchemaPolicy::Refuse } else { SchemaPolicy::Migrate };
        let store = open_store(&config.database, policy).await?;
        mailer.check().await.map_err(|e| Failure::Failed(e.to_string()))?;
        let app = app_on(store.clone(), &config.security, config.mail.links, config.quotas, mailer.domain())?;
        let wanted = config.grpc.grpc_listen;
        let cannot =
            |error: std::io::Error| Failure::Failed(format!("--grpc-listen: cannot listen on {wanted}: {error}"));
        let listener = grpc::Listener::bind(&config.grpc, tls).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Self { app, address, store, mailer, grpc: config.grpc, listener })
    }

    /// Serves until `shutdown`, then finishes what runs and closes the database.
    pub async fn serve(self, shutdown: impl Future<Output = ()> + Send) -> Outcome {
        let workers = Workers::start(&self.app, self.mailer);
        announce(self.address);
        let stop = CancellationToken::new();
        let told = async {
            shutdown.await;
            stop.cancel();
        };
        let serving = async {
            let served = grpc::serve(self.app, self.grpc, self.listener, told).await;
            stop.cancel();
            served
        };
        let working = async {
            stop.cancelled().await;
            if timeout(WORKERS_GRACE, workers.stop()).await.is_err() {
                tracing::warn!("an e-mail was on its way for too long; it will be sent again");
            }
        };
        let (served, ()) = tokio::join!(serving, working);
        let _ = timeout(CLOSING, self.store.close()).await;
        served.map_err(|error| Failure::Failed(format!("serving failed: {error}")))
    }
}

/// The line that says that calls are accepted. Whoever started the process may have stopped reading.
fn announce(address: std::net::SocketAddr) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "listening on {address}").and_then(|()| out.flush());
}
