//! `InvitationService`.

use tonic::Request;

use crate::app::{AcceptInvitation, CreateInvitation};
use crate::crypto::{TokenHash, TokenKind};
use crate::error::{Error, Reason, Result, Violations};
use crate::grpc::call::Admitted;
use crate::grpc::convert::{self, fields};
use crate::grpc::pb::v1;
use crate::grpc::pb::v1::invitation_service_server::InvitationService;
use crate::model::{InvitationId, ListId};
use crate::store::InvitationFilter;

use super::{Answer, Api};

#[tonic::async_trait]
impl InvitationService for Api {
    async fn create_invitation(
        &self,
        request: Request<v1::CreateInvitationRequest>,
    ) -> Answer<v1::CreateInvitationResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let email = violations.take(fields::email("email", &message.email));
            let role = violations.take(fields::role("role", message.role));
            let request_id = violations.take(fields::optional_uuid("request_id", &message.request_id));
            let ((email, role), request_id) = fields::all(violations, email.zip(role).zip(request_id))?;
            let command = CreateInvitation { email, role, request_id };
            let invitation = self
                .change(&admitted, move |app, op| {
                    let command = command.clone();
                    async move { app.create_invitation(&op, &command).await }
                })
                .await?;
            let invitation = Some(convert::invitation(invitation, admitted.op.now));
            Ok(v1::CreateInvitationResponse { invitation })
        };
        admitted.answer(outcome.await)
    }

    async fn list_invitations(
        &self,
        request: Request<v1::ListInvitationsRequest>,
    ) -> Answer<v1::ListInvitationsResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let states = fields::invitation_states(&mut violations, "states", &message.states);
            let mut list = ListId::new("invitations", admitted.op.caller.workspace().ok());
            for state in &states {
                list = list.filter(&[*state as u8]);
            }
            let page = fields::page(violations, &list, message.page_size, &message.page_token)?;
            let page = self.app.list_invitations(&admitted.op, &InvitationFilter { states }, &page).await?;
            Ok(v1::ListInvitationsResponse {
                next_page_token: page.next.as_ref().map(|position| list.token(position)).unwrap_or_default(),
                invitations: page.rows.into_iter().map(|row| convert::invitation(row, admitted.op.now)).collect(),
            })
        };
        admitted.answer(outcome.await)
    }

    async fn get_invitation(&self, request: Request<v1::GetInvitationRequest>) -> Answer<v1::GetInvitationResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let id = invitation_id(&message.invitation_id)?;
            let invitation = self.app.get_invitation(&admitted.op, id).await?;
            let invitation = Some(convert::invitation(invitation, admitted.op.now));
            Ok(v1::GetInvitationResponse { invitation })
        };
        admitted.answer(outcome.await)
    }

    async fn resend_invitation(
        &self,
        request: Request<v1::ResendInvitationRequest>,
    ) -> Answer<v1::ResendInvitationResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let id = violations.take(fields::uuid("invitation_id", &message.invitation_id)).map(InvitationId::new);
            let request_id = violations.take(fields::optional_uuid("request_id", &message.request_id));
            let (id, request_id) = fields::all(violations, id.zip(request_id))?;
            let invitation = self
                .change(&admitted, move |app, op| async move { app.resend_invitation(&op, id, request_id).await })
                .await?;
            let invitation = Some(convert::invitation(invitation, admitted.op.now));
            Ok(v1::ResendInvitationResponse { invitation })
        };
        admitted.answer(outcome.await)
    }

    async fn cancel_invitation(
        &self,
        request: Request<v1::CancelInvitationRequest>,
    ) -> Answer<v1::CancelInvitationResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let id = invitation_id(&message.invitation_id)?;
            let invitation =
                self.change(&admitted, move |app, op| async move { app.cancel_invitation(&op, id).await }).await?;
            let invitation = Some(convert::invitation(invitation, admitted.op.now));
            Ok(v1::CancelInvitationResponse { invitation })
        };
        admitted.answer(outcome.await)
    }

    async fn preview_invitation(
        &self,
        request: Request<v1::PreviewInvitationRequest>,
    ) -> Answer<v1::PreviewInvitationResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let token = invitation_token(&message.invitation_token)?;
            self.app.preview_invitation(&admitted.op, token).await.map(convert::preview)
        };
        admitted.answer(outcome.await)
    }

    async fn accept_invitation(
        &self,
        request: Request<v1::AcceptInvitationRequest>,
    ) -> Answer<v1::AcceptInvitationResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let token = invitation_token(&message.invitation_token);
            let password = match fields::password("password", message.password) {
                Ok(password) => password,
                Err(bad) => {
                    let bad = self.app.bad_fields_of_accept(token.ok(), &message.display_name, bad).await?;
                    return Err(Error::fields(bad));
                }
            };
            let token = token?;
            let command = AcceptInvitation { token, display_name: message.display_name, password };
            let accepted = self
                .change(&admitted, move |app, op| {
                    let command = command.clone();
                    async move { app.accept_invitation(&op, &command).await }
                })
                .await?;
            Ok(accepted.into())
        };
        admitted.answer(outcome.await)
    }
}

fn invitation_id(text: &str) -> Result<InvitationId> {
    let mut violations = Violations::default();
    let id = violations.take(fields::uuid("invitation_id", text)).map(InvitationId::new);
    fields::all(violations, id)
}

/// A token that is malformed was never issued.
fn invitation_token(text: &str) -> Result<TokenHash> {
    TokenKind::Invitation.parse(text).ok_or_else(|| Reason::InvitationNotFound.into())
}
