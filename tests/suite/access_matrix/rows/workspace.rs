use rolecall::grpc::pb::v1;

use super::{Row, row};
use crate::access_matrix::stage::Stage;

pub fn rows() -> Vec<Row> {
    let events = |target, of: fn(&Stage) -> &str| {
        row("AuditService.ListAuditEvents", target, move |stage, _| v1::ListAuditEventsRequest {
            target_user_id: of(stage).into(),
            ..Default::default()
        })
        .with_note(|bytes| {
            let events = <v1::ListAuditEventsResponse as prost::Message>::decode(bytes).unwrap().events;
            if events.is_empty() { "nothing".to_owned() } else { "events".to_owned() }
        })
    };
    vec![
        row("WorkspaceService.CreateWorkspace", "", |_, _| v1::CreateWorkspaceRequest {
            name: "Epsilon".into(),
            owner_email: "brand-new@new.example".into(),
            ..Default::default()
        }),
        row("WorkspaceService.GetWorkspace", "", |_, _| v1::GetWorkspaceRequest {}),
        row("WorkspaceService.ListWorkspaces", "", |_, _| v1::ListWorkspacesRequest::default()),
        row("WorkspaceService.UpdateWorkspace", "", |_, _| v1::UpdateWorkspaceRequest { name: Some("Zeta".into()) }),
        events("all", |_| ""),
        events("about an Agent", |stage| &stage.agent.user_id),
        events("about someone of Gamma", |stage| &stage.stranger.user_id),
    ]
}
