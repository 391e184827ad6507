//! `rolecall workspaces`

use crate::config::{DatabaseConfig, LinkConfig};
use crate::model::Name;

use super::Outcome;
use super::bootstrap::usage;
use super::lifecycle::operator_app_on_existing;
use super::service_key::moment;

/// Workspaces that are read at once.
const PAGE: u64 = 1_000;

#[derive(clap::Args)]
pub struct Workspaces {
    #[command(flatten)]
    database: DatabaseConfig,

    /// Only those of this name
    #[arg(long, env = "ROLECALL_NAME", value_name = "NAME")]
    name: Option<String>,
}

impl Workspaces {
    pub async fn run(self) -> Outcome {
        let name = self.name.as_deref().map(|name| Name::parse("--name", name)).transpose().map_err(usage)?;
        let (app, store) = operator_app_on_existing(&self.database, LinkConfig::default()).await?;
        println!("ID\tNAME\tOWNERS\tCREATED");
        let mut last = None;
        loop {
            let page = app.workspaces(name.as_ref(), last, PAGE).await?;
            for workspace in &page {
                let created = moment(Some(workspace.create_time));
                println!("{}\t{}\t{}\t{created}", workspace.workspace_id, workspace.name, workspace.owner_count);
            }
            match page.last() {
                Some(workspace) => last = Some(workspace.workspace_id),
                None => break,
            }
        }
        store.close().await;
        Ok(())
    }
}
