//! `rolecall service-key`

use std::time::Duration;

use clap::Subcommand;
use secrecy::ExposeSecret;
use time::format_description::well_known::Rfc3339;

use crate::app::CreateServiceKey;
use crate::authz::ServiceScope;
use crate::clock::Timestamp;
use crate::config::{DatabaseConfig, LinkConfig};
use crate::store::ServiceKey;

use super::bootstrap::{of_workspace, workspace_id};
use super::lifecycle::{operator_app, operator_app_on_existing};
use super::{Failure, Outcome};

/// Longest name of a key in characters.
const MAX_NAME: usize = 64;

#[derive(Subcommand)]
pub enum ServiceKeyCommand {
    /// Make a key and print it, once
    #[command(override_usage = "rolecall service-key create [OPTIONS] --scope <SCOPE>[,<SCOPE>...] <NAME>")]
    Create(Create),
    /// List the keys with their scopes and last use, without the keys
    List(List),
    /// Revoke a key at once. Its name is never used again
    Revoke(Revoke),
}

#[derive(clap::Args)]
pub struct Create {
    #[command(flatten)]
    database: DatabaseConfig,

    /// What the key is called in lists and in the audit log
    name: String,

    /// What it may do, each by a flag of its own or between commas: check-access, check-user-access, read-users, read-audit, provision-workspaces
    #[arg(long = "scope", env = "ROLECALL_SCOPE", value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = scope)]
    scopes: Vec<ServiceScope>,

    /// The only workspace that it may act in
    #[arg(long, env = "ROLECALL_WORKSPACE", value_name = "ID")]
    workspace: Option<String>,

    /// How long it is good, such as 90d; without this, until it is revoked
    #[arg(long, env = "ROLECALL_EXPIRES", value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
}

#[derive(clap::Args)]
pub struct List {
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(clap::Args)]
pub struct Revoke {
    #[command(flatten)]
    database: DatabaseConfig,

    name: String,
}

impl ServiceKeyCommand {
    pub async fn run(self) -> Outcome {
        match self {
            ServiceKeyCommand::Create(create) => create.run().await,
            ServiceKeyCommand::List(list) => list.run().await,
            ServiceKeyCommand::Revoke(revoke) => revoke.run().await,
        }
    }
}

impl Create {
    async fn run(self) -> Outcome {
        let name_is_plain = self.name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if self.name.is_empty() || self.name.len() > MAX_NAME || !name_is_plain {
            return Err(Failure::Usage(
                "NAME: must have 1 to 64 letters, digits, dots, dashes and underscores".to_owned(),
            ));
        }
        let workspace = self.workspace.as_deref().map(workspace_id).transpose()?;
        if workspace.is_some() && self.scopes.contains(&ServiceScope::ProvisionWorkspaces) {
            return Err(Failure::Usage(
                "--scope: provision-workspaces is for a key that is bound to no workspace; leave out --workspace (ROLECALL_WORKSPACE)"
                    .to_owned(),
            ));
        }
        let (app, store) = match workspace {
            Some(_) => operator_app_on_existing(&self.database, LinkConfig::default()).await?,
            None => operator_app(&self.database, LinkConfig::default()).await?,
        };
        let mut scopes = self.scopes;
        scopes.sort_by_key(|scope| scope.number());
        scopes.dedup();
        let expire_time = self.expires.map(|duration| app.now().plus(duration));
        let key = CreateServiceKey { name: self.name, scopes, workspace, expire_time };
        println!("{}", app.create_service_key(&key).await.map_err(of_workspace)?.expose_secret());
        store.close().await;
        Ok(())
    }
}

impl List {
    async fn run(self) -> Outcome {
        let (app, store) = operator_app_on_existing(&self.database, LinkConfig::default()).await?;
        let now = app.now();
        println!("NAME\tSTATE\tSCOPES\tWORKSPACE\tCREATED\tEXPIRES\tLAST USED");
        for key in app.service_keys().await? {
            let scopes: Vec<String> = key.scopes.iter().map(|scope| flag_name(*scope)).collect();
            println!(
                "{}\t{}\t{}\t{}\t{}\t{}\t{}",
                key.name,
                state(&key, now),
                scopes.join(","),
                key.workspace.map_or_else(|| "any".to_owned(), |id| id.to_string()),
                moment(Some(key.create_time)),
                moment(key.expire_time),
                moment(key.last_used_time),
            );
        }
        store.close().await;
        Ok(())
    }
}

impl Revoke {
    async fn run(self) -> Outcome {
        let (app, store) = operator_app_on_existing(&self.database, LinkConfig::default()).await?;
        let found = app.revoke_service_key(&self.name).await?;
        store.close().await;
        if found { Ok(()) } else { Err(Failure::Failed("NAME: there is no service key of that name".to_owned())) }
    }
}

fn state(key: &ServiceKey, now: Timestamp) -> &'static str {
    match (key.revoke_time, key.expire_time) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if now >= at => "expired",
        _ => "good",
    }
}

pub(super) fn moment(time: Option<Timestamp>) -> String {
    time.and_then(|time| time.to_date_time().format(&Rfc3339).ok()).unwrap_or_else(|| "-".to_owned())
}

/// A scope as flags spell it: `check-access`.
fn flag_name(scope: ServiceScope) -> String {
    scope.name().to_ascii_lowercase().replace('_', "-")
}

fn scope(text: &str) -> Result<ServiceScope, String> {
    ServiceScope::ALL.iter().copied().find(|scope| flag_name(*scope) == text).ok_or_else(|| {
        let known: Vec<String> = ServiceScope::ALL.iter().map(|scope| flag_name(*scope)).collect();
        format!("must be one of {}", known.join(", "))
    })
}
