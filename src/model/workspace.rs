//! Workspaces: the tenant.

use crate::clock::Timestamp;

use super::{Name, WorkspaceId};

#[derive(Clone, Debug)]
pub struct Workspace {
    pub workspace_id: WorkspaceId,
    pub name: Name,
    pub create_time: Timestamp,
    /// When it had its first Owner; it keeps one from then on.
    pub found_time: Option<Timestamp>,
    /// Active Owners.
    pub owner_count: i64,
}
