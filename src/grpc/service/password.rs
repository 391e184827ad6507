//! `PasswordService`, which is not built yet: its methods say so, and the README lists them.

use tonic::Request;

use crate::error::{Reason, Result};
use crate::grpc::call::Admitted;
use crate::grpc::pb::v1;
use crate::grpc::pb::v1::password_service_server::PasswordService;

use super::{Answer, Api};

#[tonic::async_trait]
impl PasswordService for Api {
    async fn change_password(&self, request: Request<v1::ChangePasswordRequest>) -> Answer<v1::ChangePasswordResponse> {
        let (admitted, _) = Admitted::open(request)?;
        admitted.answer(not_built())
    }

    async fn request_password_reset(
        &self,
        request: Request<v1::RequestPasswordResetRequest>,
    ) -> Answer<v1::RequestPasswordResetResponse> {
        let (admitted, _) = Admitted::open(request)?;
        admitted.answer(not_built())
    }

    async fn reset_password(&self, request: Request<v1::ResetPasswordRequest>) -> Answer<v1::ResetPasswordResponse> {
        let (admitted, _) = Admitted::open(request)?;
        admitted.answer(not_built())
    }
}

fn not_built<T>() -> Result<T> {
    Err(Reason::MethodUnknown.into())
}
