//! `UserService`.

use tonic::Request;

use crate::clock::Timestamp;
use crate::error::{FieldReason, FieldViolation, Violations};
use crate::grpc::call::Admitted;
use crate::grpc::convert::{self, fields};
use crate::grpc::pb::v1;
use crate::grpc::pb::v1::user_service_server::UserService;
use crate::model::{Invitation, ListId, UserId};
use crate::store::MemberFilter;

use super::{Answer, Api};

/// Most ids of one `BatchGetUsers`.
const MAX_BATCH: usize = 100;

#[tonic::async_trait]
impl UserService for Api {
    async fn list_users(&self, request: Request<v1::ListUsersRequest>) -> Answer<v1::ListUsersResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let filter = MemberFilter {
                roles: fields::roles(&mut violations, "roles", &message.roles),
                query: violations.take(fields::query(&message.query)).unwrap_or_default(),
                include_removed: message.include_removed,
            };
            let mut list = ListId::new("users", admitted.op.caller.workspace().ok());
            for role in &filter.roles {
                list = list.filter(role.name().as_bytes());
            }
            list = list.filter(filter.query.as_bytes()).filter(&[u8::from(filter.include_removed)]);
            let page = fields::page(violations, &list, message.page_size, &message.page_token)?;
            let page = self.app.list_users(&admitted.op, &filter, &page).await?;
            Ok(v1::ListUsersResponse {
                next_page_token: page.next.as_ref().map(|position| list.token(position)).unwrap_or_default(),
                users: page.rows.into_iter().map(convert::user).collect(),
            })
        };
        admitted.answer(outcome.await)
    }

    async fn get_user(&self, request: Request<v1::GetUserRequest>) -> Answer<v1::GetUserResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let user = violations.take(fields::uuid("user_id", &message.user_id)).map(UserId::new);
            let user = fields::all(violations, user)?;
            let view = self.app.get_user(&admitted.op, user).await?;
            Ok(v1::GetUserResponse { user: Some(convert::user_view(view)) })
        };
        admitted.answer(outcome.await)
    }

    async fn batch_get_users(&self, request: Request<v1::BatchGetUsersRequest>) -> Answer<v1::BatchGetUsersResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            match message.user_ids.len() {
                0 => violations.add(fields::required("user_ids", "must have 1 to 100 ids")),
                1..=MAX_BATCH => {}
                _ => violations.add(FieldViolation::new("user_ids", FieldReason::TooLong, "must have 1 to 100 ids")),
            }
            let mut users = Vec::new();
            for (index, id) in message.user_ids.iter().enumerate().take(MAX_BATCH) {
                users.extend(violations.take(fields::uuid(&format!("user_ids[{index}]"), id)).map(UserId::new));
            }
            violations.finish()?;
            let views = self.app.batch_get_users(&admitted.op, &users).await?;
            Ok(v1::BatchGetUsersResponse { users: views.into_iter().map(convert::user_view).collect() })
        };
        admitted.answer(outcome.await)
    }

    async fn update_profile(&self, request: Request<v1::UpdateProfileRequest>) -> Answer<v1::UpdateProfileResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let name = violations.take(fields::changed_name("display_name", message.display_name.as_deref()));
            let name = fields::all(violations, name)?;
            let change = move |app: crate::app::App, op: std::sync::Arc<crate::authz::Op>| {
                let name = name.clone();
                async move { app.update_profile(&op, &name).await }
            };
            let member = self.change(&admitted, change).await?;
            Ok(v1::UpdateProfileResponse { user: Some(convert::user(member)) })
        };
        admitted.answer(outcome.await)
    }

    async fn change_user_role(
        &self,
        request: Request<v1::ChangeUserRoleRequest>,
    ) -> Answer<v1::ChangeUserRoleResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let user = violations.take(fields::uuid("user_id", &message.user_id)).map(UserId::new);
            let role = violations.take(fields::role("role", message.role));
            let (user, role) = fields::all(violations, user.zip(role))?;
            let change = self
                .change(&admitted, move |app, op| async move { app.change_user_role(&op, user, role).await })
                .await?;
            let now = admitted.op.now;
            Ok(v1::ChangeUserRoleResponse {
                user: Some(convert::user(change.member)),
                canceled_invitations: canceled(change.canceled_invitations, now),
            })
        };
        admitted.answer(outcome.await)
    }

    async fn remove_user(&self, request: Request<v1::RemoveUserRequest>) -> Answer<v1::RemoveUserResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let user = violations.take(fields::uuid("user_id", &message.user_id)).map(UserId::new);
            let user = fields::all(violations, user)?;
            let change = self.change(&admitted, move |app, op| async move { app.remove_user(&op, user).await }).await?;
            let now = admitted.op.now;
            Ok(v1::RemoveUserResponse {
                user: Some(convert::user(change.member)),
                ended_session_count: count(change.ended_sessions),
                canceled_invitations: canceled(change.canceled_invitations, now),
            })
        };
        admitted.answer(outcome.await)
    }

    async fn leave_workspace(&self, request: Request<v1::LeaveWorkspaceRequest>) -> Answer<v1::LeaveWorkspaceResponse> {
        let (admitted, _) = Admitted::open(request)?;
        let outcome = async {
            let change = self.change(&admitted, |app, op| async move { app.leave_workspace(&op).await }).await?;
            let now = admitted.op.now;
            Ok(v1::LeaveWorkspaceResponse {
                ended_session_count: count(change.ended_sessions),
                canceled_invitations: canceled(change.canceled_invitations, now),
            })
        };
        admitted.answer(outcome.await)
    }
}

/// Invitations that went with a change, as they stand after it.
fn canceled(invitations: Vec<Invitation>, now: Timestamp) -> Vec<v1::Invitation> {
    invitations.into_iter().map(|invitation| convert::invitation(invitation, now)).collect()
}

/// A count as it is sent.
pub(super) fn count(rows: u64) -> i32 {
    i32::try_from(rows).unwrap_or(i32::MAX)
}
