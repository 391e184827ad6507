//! `AccessService`.

use secrecy::SecretString;
use tonic::Request;

use crate::app::{AccessCheck, CheckSubject};
use crate::error::{Error, FieldReason, FieldViolation, Violations};
use crate::grpc::call::Admitted;
use crate::grpc::convert::{self, fields};
use crate::grpc::pb::v1;
use crate::grpc::pb::v1::access_service_server::AccessService;
use crate::grpc::pb::v1::check_access_request::{Requirement, Subject};
use crate::model::UserId;

use super::{Answer, Api};

/// Most checks of one `BatchCheckAccess`.
const MAX_BATCH: usize = 100;

#[tonic::async_trait]
impl AccessService for Api {
    async fn check_access(&self, request: Request<v1::CheckAccessRequest>) -> Answer<v1::CheckAccessResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let check = read(&mut violations, "", message);
            let check = fields::all(violations, check)?;
            let path = |_: usize, field: &str| field.to_owned();
            let verdicts = self.app.check_access(&admitted.op, &[check], admitted.call.foreseen(), path).await?;
            let verdict = verdicts.into_iter().next().ok_or_else(|| Error::internal("a check without a verdict"))?;
            Ok(convert::access_answer(verdict))
        };
        admitted.answer(outcome.await)
    }

    async fn batch_check_access(
        &self,
        request: Request<v1::BatchCheckAccessRequest>,
    ) -> Answer<v1::BatchCheckAccessResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            match message.checks.len() {
                0 => violations.add(fields::required("checks", "must have 1 to 100 checks")),
                1..=MAX_BATCH => {}
                _ => violations.add(FieldViolation::new("checks", FieldReason::TooLong, "must have 1 to 100 checks")),
            }
            let mut checks = Vec::with_capacity(message.checks.len().min(MAX_BATCH));
            for (index, check) in message.checks.into_iter().enumerate().take(MAX_BATCH) {
                checks.extend(read(&mut violations, &format!("checks[{index}]."), check));
            }
            violations.finish()?;
            let path = |index: usize, field: &str| format!("checks[{index}].{field}");
            let verdicts = self.app.check_access(&admitted.op, &checks, None, path).await?;
            Ok(v1::BatchCheckAccessResponse { results: verdicts.into_iter().map(convert::access_answer).collect() })
        };
        admitted.answer(outcome.await)
    }
}

/// Reads one check; `at` is the path of the message that it stands in.
fn read(violations: &mut Violations, at: &str, message: v1::CheckAccessRequest) -> Option<AccessCheck> {
    let subject = match message.subject {
        None => Some(None),
        // A token that is malformed belongs to no session: that is an answer and no error.
        Some(Subject::SessionToken(token)) => Some(Some(CheckSubject::SessionToken(SecretString::from(token)))),
        Some(Subject::UserId(id)) => violations
            .take(fields::uuid(&format!("{at}user_id"), &id))
            .map(|id| Some(CheckSubject::User(UserId::new(id)))),
    };
    let required = match message.requirement {
        None => {
            violations.add(fields::required(format!("{at}requirement"), "must be a permission or a minimum role"));
            None
        }
        Some(Requirement::Permission(number)) => violations
            .take(fields::permission(&format!("{at}permission"), number))
            .map(|permission| permission.lowest_role()),
        Some(Requirement::MinimumRole(number)) => violations.take(fields::role(&format!("{at}minimum_role"), number)),
    };
    Some(AccessCheck { subject: subject?, required: required? })
}
