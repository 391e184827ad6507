//! Holds against an address what it sends that is malformed.

use std::time::Instant;

use http::{Request, Response};
use tonic::body::Body;

use crate::error::Reason;
use crate::grpc::call::Call;
use crate::grpc::listener::Origin;

use super::{Around, Next};

#[derive(Clone)]
pub struct Conduct;

impl Around for Conduct {
    async fn around(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let extensions = request.extensions();
        let conduct = extensions.get::<Origin>().and_then(|origin| origin.conduct.clone());
        let call = extensions.get::<Call>().cloned();
        let response = next.run(request).await;
        if let (Some(conduct), Some(call)) = (conduct, call) {
            match call.reason() {
                // What is not ours, like reflection, says how it went in a message of its own.
                None if call.rule().is_some() => conduct.praise(Instant::now()),
                Some(reason) if is_of_form(reason) => conduct.blame(1, Instant::now()),
                _ => {}
            }
        }
        response
    }
}

/// Whether a request that is refused for this could have been known to be wrong by whoever sent it. Most of what a gateway
/// passes on from its own clients is not of this kind: sessions that have ended, rights that somebody does not have, things
/// that are not there. A call that its client cancels is not either: others do so when the database is slow.
const fn is_of_form(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::CredentialMissing
            | Reason::FieldInvalid
            | Reason::PageTokenInvalid
            | Reason::WorkspaceRequired
            | Reason::MethodUnknown
            | Reason::MessageTooLarge
            | Reason::MessageMalformed
    )
}
