//! What commands have in common: opening the service on its database, and stopping.

use std::thread::available_parallelism;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, AppConfig};
use crate::clock::Clock;
use crate::config::{DatabaseConfig, LinkConfig, QuotaConfig, SecurityConfig};
use crate::store::Store;

use super::Failure;

/// What to do about a schema that is not up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaPolicy {
    Migrate,
    Refuse,
}

/// Opens the database and sees to its schema.
pub async fn open_store(database: &DatabaseConfig, policy: SchemaPolicy) -> Result<Store, Failure> {
    database.validate()?;
    let store = Store::open(database).await?;
    match policy {
        SchemaPolicy::Migrate => {
            for migration in store.migrate().await? {
                tracing::info!(migration, "migrated");
            }
        }
        SchemaPolicy::Refuse => store.schema_state().await?.require_current()?,
    }
    Ok(store)
}

/// The service on an open database.
pub fn app_on(
    store: Store,
    security: &SecurityConfig,
    links: LinkConfig,
    quotas: QuotaConfig,
    mail_domain: &str,
) -> Result<App, Failure> {
    let config = AppConfig {
        security,
        links,
        quotas,
        throttled: true,
        mail_domain: mail_domain.to_owned(),
        hashing_permits: available_parallelism().map_or(1, usize::from),
    };
    Ok(App::new(store, Clock::system(), config)?)
}

/// The service for a command of the operator, who sends no e-mail.
pub async fn operator_app(database: &DatabaseConfig, links: LinkConfig) -> Result<(App, Store), Failure> {
    open_operator_app(database, links, SchemaPolicy::Migrate).await
}

async fn open_operator_app(
    database: &DatabaseConfig,
    links: LinkConfig,
    policy: SchemaPolicy,
) -> Result<(App, Store), Failure> {
    links.validate()?;
    let store = open_store(database, policy).await?;
    let app = app_on(store.clone(), &SecurityConfig::default(), links, QuotaConfig::default(), "localhost")?;
    Ok((app, store))
}

/// As [`operator_app`], for a command that is about what is there: a wrong name must not become an empty database.
pub async fn operator_app_on_existing(database: &DatabaseConfig, links: LinkConfig) -> Result<(App, Store), Failure> {
    database.validate()?;
    if let Some(path) = database.missing()? {
        return Err(Failure::Failed(format!("--database-url: there is no database {}", path.display())));
    }
    open_operator_app(database, links, SchemaPolicy::Refuse).await
}

/// Listens for signals from the moment of this call, and completes when one tells the process to stop. Before the call a
/// signal kills the process, so it comes before anybody is told that the service is there.
pub fn told_to_stop() -> impl Future<Output = ()> + Send {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            tracing::error!("signals cannot be received; only SIGKILL stops this process");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    }
}
