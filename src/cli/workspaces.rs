//! `rolecall workspaces`

use std::io::{self, Write};

use crate::app::App;
use crate::config::{DatabaseConfig, LinkConfig};
use crate::model::{Name, Workspace};

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
        let listed = list(&app, name.as_ref()).await;
        store.close().await;
        listed
    }
}

/// Those that are founded meanwhile may be missing.
async fn list(app: &App, name: Option<&Name>) -> Outcome {
    let mut lines = "ID\tNAME\tOWNERS\tCREATED\n".to_owned();
    let mut last = None;
    while print(&lines)? {
        let page = app.workspaces(name, last, PAGE).await?;
        let Some(workspace) = page.last() else { break };
        last = Some(workspace.workspace_id);
        lines = page.iter().map(line).collect();
    }
    Ok(())
}

fn line(workspace: &Workspace) -> String {
    let created = moment(Some(workspace.create_time));
    format!("{}\t{}\t{}\t{created}\n", workspace.workspace_id, workspace.name, workspace.owner_count)
}

/// Answers whether somebody still reads: `head` does not, after a few lines.
fn print(lines: &str) -> io::Result<bool> {
    match io::stdout().write_all(lines.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        outcome => outcome.map(|()| true),
    }
}
