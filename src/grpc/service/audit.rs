//! `AuditService`.

use tonic::Request;

use crate::clock::Timestamp;
use crate::error::Violations;
use crate::grpc::call::Admitted;
use crate::grpc::convert::{self, fields};
use crate::grpc::pb::v1;
use crate::grpc::pb::v1::audit_service_server::AuditService;
use crate::model::{AuditFilter, ListId, UserId};

use super::{Answer, Api};

#[tonic::async_trait]
impl AuditService for Api {
    async fn list_audit_events(
        &self,
        request: Request<v1::ListAuditEventsRequest>,
    ) -> Answer<v1::ListAuditEventsResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let actor = violations.take(fields::optional_uuid("actor_user_id", &message.actor_user_id));
            let target = violations.take(fields::optional_uuid("target_user_id", &message.target_user_id));
            let filter = AuditFilter {
                actions: fields::audit_actions(&mut violations, "actions", &message.actions),
                actor_user: actor.flatten().map(UserId::new),
                target_user: target.flatten().map(UserId::new),
                start: violations.take(fields::moment("start_time", message.start_time)).flatten(),
                end: violations.take(fields::moment("end_time", message.end_time)).flatten(),
            };
            let list = list_id(ListId::new("audit events", admitted.op.caller.workspace().ok()), &filter);
            let page = fields::page(violations, &list, message.page_size, &message.page_token)?;
            let page = self.app.list_audit_events(&admitted.op, &filter, &page).await?;
            Ok(v1::ListAuditEventsResponse {
                next_page_token: page.next.as_ref().map(|position| list.token(position)).unwrap_or_default(),
                events: page.rows.into_iter().map(convert::audit_event).collect(),
            })
        };
        admitted.answer(outcome.await)
    }
}

/// The list that a filter makes. How many actions there are goes in, so that they cannot run into the other parts.
fn list_id(list: ListId, filter: &AuditFilter) -> ListId {
    let mut list = list.filter(&filter.actions.len().to_le_bytes());
    for action in &filter.actions {
        list = list.filter(action.name().as_bytes());
    }
    for user in [filter.actor_user, filter.target_user] {
        list = list.filter(user.map(|user| user.uuid().into_bytes()).as_ref().map_or(&[][..], |bytes| &bytes[..]));
    }
    for time in [filter.start, filter.end] {
        let micros = time.map(Timestamp::as_micros).map(i64::to_le_bytes);
        list = list.filter(micros.as_ref().map_or(&[][..], |bytes| &bytes[..]));
    }
    list
}
