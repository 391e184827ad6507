//! Reading the audit log.

use crate::authz::Op;
use crate::error::Result;
use crate::model::{AuditEvent, AuditFilter, Page, PageRequest};

use super::App;

impl App {
    pub async fn list_audit_events(
        &self,
        op: &Op,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEvent>> {
        let workspace = self.workspace_to_read(op).await?;
        self.store().audit_events(workspace, filter, page).await
    }
}
