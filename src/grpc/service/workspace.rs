//! `WorkspaceService`.

use tonic::Request;

use crate::app::CreateWorkspace;
use crate::error::Violations;
use crate::grpc::call::Admitted;
use crate::grpc::convert::{self, fields};
use crate::grpc::pb::v1;
use crate::grpc::pb::v1::workspace_service_server::WorkspaceService;
use crate::model::{ListId, Name};

use super::{Answer, Api};

#[tonic::async_trait]
impl WorkspaceService for Api {
    async fn create_workspace(
        &self,
        request: Request<v1::CreateWorkspaceRequest>,
    ) -> Answer<v1::CreateWorkspaceResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let name = violations.take(Name::parse("name", &message.name));
            let owner_email = violations.take(fields::email("owner_email", &message.owner_email));
            let request_id = violations.take(fields::optional_uuid("request_id", &message.request_id));
            let ((name, owner_email), request_id) = fields::all(violations, name.zip(owner_email).zip(request_id))?;
            let command = CreateWorkspace { name, owner_email, request_id };
            let (workspace, invitation) = self
                .change(&admitted, move |app, op| {
                    let command = command.clone();
                    async move { app.create_workspace(&op, &command).await }
                })
                .await?;
            Ok(v1::CreateWorkspaceResponse {
                workspace: Some(convert::workspace(workspace)),
                invitation: Some(convert::invitation(invitation, admitted.op.now)),
            })
        };
        admitted.answer(outcome.await)
    }

    async fn get_workspace(&self, request: Request<v1::GetWorkspaceRequest>) -> Answer<v1::GetWorkspaceResponse> {
        let (admitted, _) = Admitted::open(request)?;
        let outcome = async {
            let workspace = self.app.get_workspace(&admitted.op).await?;
            Ok(v1::GetWorkspaceResponse { workspace: Some(convert::workspace(workspace)) })
        };
        admitted.answer(outcome.await)
    }

    async fn list_workspaces(&self, request: Request<v1::ListWorkspacesRequest>) -> Answer<v1::ListWorkspacesResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let caller = admitted.op.caller.session()?;
            let list = ListId::new("workspaces", None).filter(caller.user_id.uuid().as_bytes());
            let page = fields::page(Violations::default(), &list, message.page_size, &message.page_token)?;
            let page = self.app.list_workspaces(&admitted.op, &page).await?;
            Ok(v1::ListWorkspacesResponse {
                next_page_token: page.next.as_ref().map(|position| list.token(position)).unwrap_or_default(),
                workspaces: page.rows.into_iter().map(convert::membership).collect(),
            })
        };
        admitted.answer(outcome.await)
    }

    async fn update_workspace(
        &self,
        request: Request<v1::UpdateWorkspaceRequest>,
    ) -> Answer<v1::UpdateWorkspaceResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let name = violations.take(fields::changed_name("name", message.name.as_deref()));
            let name = fields::all(violations, name)?;
            let workspace = self
                .change(&admitted, move |app, op| {
                    let name = name.clone();
                    async move { app.rename_workspace(&op, &name).await }
                })
                .await?;
            Ok(v1::UpdateWorkspaceResponse { workspace: Some(convert::workspace(workspace)) })
        };
        admitted.answer(outcome.await)
    }
}
