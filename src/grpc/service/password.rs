//! `PasswordService`.

use tonic::Request;

use crate::app::{ChangePassword, ResetPassword};
use crate::crypto::TokenKind;
use crate::error::Violations;
use crate::grpc::call::Admitted;
use crate::grpc::convert::fields;
use crate::grpc::pb::v1;
use crate::grpc::pb::v1::password_service_server::PasswordService;

use super::{Answer, Api};

#[tonic::async_trait]
impl PasswordService for Api {
    async fn change_password(&self, request: Request<v1::ChangePasswordRequest>) -> Answer<v1::ChangePasswordResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let current = violations.take(fields::password("current_password", message.current_password));
            let new = violations.take(fields::password("new_password", message.new_password));
            if let (None, Some(new)) = (&current, &new) {
                for bad in self.app.bad_new_password(&admitted.op, new.clone()).await? {
                    violations.add(bad);
                }
            }
            let (current, new) = fields::all(violations, current.zip(new))?;
            let command = ChangePassword { current, new };
            self.change(&admitted, move |app, op| {
                let command = command.clone();
                async move { app.change_password(&op, &command).await }
            })
            .await?;
            Ok(v1::ChangePasswordResponse {})
        };
        admitted.answer(outcome.await)
    }

    async fn request_password_reset(
        &self,
        request: Request<v1::RequestPasswordResetRequest>,
    ) -> Answer<v1::RequestPasswordResetResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let email = violations.take(fields::email("email", &message.email));
            let email = fields::all(violations, email)?;
            self.change(&admitted, move |app, op| {
                let email = email.clone();
                async move { app.request_password_reset(&op, &email).await }
            })
            .await?;
            Ok(v1::RequestPasswordResetResponse {})
        };
        admitted.answer(outcome.await)
    }

    async fn reset_password(&self, request: Request<v1::ResetPasswordRequest>) -> Answer<v1::ResetPasswordResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let new = violations.take(fields::password("new_password", message.new_password));
            let new = fields::all(violations, new)?;
            let token = TokenKind::PasswordReset.parse(&message.reset_token);
            let command = ResetPassword { token, new };
            let signed_in = self
                .change(&admitted, move |app, op| {
                    let command = command.clone();
                    async move { app.reset_password(&op, &command).await }
                })
                .await?;
            let answer = signed_in.map(v1::SignInResponse::from).unwrap_or_default();
            Ok(v1::ResetPasswordResponse {
                session_token: answer.session_token,
                session: answer.session,
                user: answer.user,
                device_token: answer.device_token,
            })
        };
        admitted.answer(outcome.await)
    }
}
