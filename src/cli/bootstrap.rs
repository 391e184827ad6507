//! `rolecall bootstrap` and `rolecall invite-owner`: an Owner's link without e-mail. The operator vouches for the address.

use secrecy::ExposeSecret;

use crate::app::{Bootstrapped, HandedOverInvitation};
use crate::config::{DatabaseConfig, LinkConfig};
use crate::error::{FieldViolation, Reason};
use crate::model::{EmailAddress, Name, WorkspaceId, parse_uuid};

use super::lifecycle::{operator_app, operator_app_on_existing};
use super::{Failure, Outcome};

#[derive(clap::Args)]
pub struct Bootstrap {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    links: LinkConfig,

    /// Name of the new workspace
    #[arg(long, env = "ROLECALL_WORKSPACE", value_name = "NAME")]
    workspace: String,

    /// Address of its first Owner
    #[arg(long, env = "ROLECALL_OWNER", value_name = "EMAIL")]
    owner: String,

    /// Do nothing if there is a workspace of that name
    #[arg(long, env = "ROLECALL_IF_ABSENT")]
    if_absent: bool,

    /// Print one line of JSON: workspace_id, invitation_id, invitation_token, setup_url. All but the first are null where
    /// nothing was done
    #[arg(long, env = "ROLECALL_JSON")]
    json: bool,
}

impl Bootstrap {
    pub async fn run(self) -> Outcome {
        let name = Name::parse("--workspace", &self.workspace).map_err(usage)?;
        let owner = EmailAddress::parse("--owner", &self.owner).map_err(usage)?;
        let (app, store) = operator_app(&self.database, self.links).await?;
        match app.bootstrap(&name, &owner, self.if_absent).await? {
            Bootstrapped::Founded { invitation, namesake } => {
                if let Some(namesake) = namesake {
                    eprintln!("rolecall: another workspace, {namesake}, has that name too");
                }
                print(&invitation, self.json);
            }
            Bootstrapped::Present(workspace) => {
                eprintln!("rolecall: there is a workspace of that name already, {workspace}; nothing was done");
                if self.json {
                    println!("{}", json_line(workspace, None));
                }
            }
        }
        store.close().await;
        Ok(())
    }
}

#[derive(clap::Args)]
pub struct InviteOwner {
    #[command(flatten)]
    database: DatabaseConfig,
    #[command(flatten)]
    links: LinkConfig,

    /// The workspace
    #[arg(long, env = "ROLECALL_WORKSPACE", value_name = "ID")]
    workspace: String,

    /// Address of the new Owner
    #[arg(long, env = "ROLECALL_OWNER", value_name = "EMAIL")]
    owner: String,

    /// Print one line of JSON: workspace_id, invitation_id, invitation_token, setup_url
    #[arg(long, env = "ROLECALL_JSON")]
    json: bool,
}

impl InviteOwner {
    pub async fn run(self) -> Outcome {
        let workspace = workspace_id(&self.workspace)?;
        let owner = EmailAddress::parse("--owner", &self.owner).map_err(usage)?;
        let (app, store) = operator_app_on_existing(&self.database, self.links).await?;
        print(&app.invite_owner(workspace, &owner).await.map_err(of_workspace)?, self.json);
        store.close().await;
        Ok(())
    }
}

/// Reads `--workspace ID`.
pub(super) fn workspace_id(text: &str) -> Result<WorkspaceId, Failure> {
    let id = parse_uuid(text).map(WorkspaceId::new);
    id.ok_or_else(|| Failure::Usage("--workspace: must be a workspace's id, a UUID".to_owned()))
}

/// Names the flag where the workspace does not exist.
pub(super) fn of_workspace(error: crate::error::Error) -> Failure {
    match error.reason() {
        Reason::WorkspaceNotFound => Failure::Failed(format!("--workspace: {error}")),
        Reason::AlreadyMember => Failure::Failed(format!("--owner: {error}")),
        _ => error.into(),
    }
}

pub(super) fn usage(violation: FieldViolation) -> Failure {
    Failure::Usage(format!("{}: {}", violation.field, violation.text))
}

fn print(invitation: &HandedOverInvitation, json: bool) {
    if json {
        println!("{}", json_line(invitation.workspace_id, Some(invitation)));
    } else {
        println!("workspace   {}", invitation.workspace_id);
        println!("invitation  {} (good for 7 days)", invitation.invitation_id);
        println!("set-up link {}", invitation.link.expose_secret());
        println!("Hand the link to the Owner over a channel that you trust: whoever has it becomes the Owner.");
    }
}

/// The same members whether there is an invitation or not.
fn json_line(workspace: WorkspaceId, invitation: Option<&HandedOverInvitation>) -> serde_json::Value {
    serde_json::json!({
        "workspace_id": workspace.to_string(),
        "invitation_id": invitation.map(|invitation| invitation.invitation_id.to_string()),
        "invitation_token": invitation.map(|invitation| invitation.token.expose_secret()),
        "setup_url": invitation.map(|invitation| invitation.link.expose_secret()),
    })
}
