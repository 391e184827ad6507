//! Gives the errors that tonic makes itself the form of ours: undecodable, compressed and oversized messages come bare.

use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::authz::rule_of;
use crate::error::Reason;
use crate::grpc::call::Call;
use crate::grpc::status;

use super::{Around, Next};

#[derive(Clone)]
pub struct Details;

impl Around for Details {
    async fn around(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let method_is_ours = rule_of(request.uri().path()).is_some();
        let call = request.extensions().get::<Call>().cloned();
        let response = next.run(request).await;
        match Status::from_header_map(response.headers()) {
            Some(bare) if bare.details().is_empty() => match reason_of(bare.code(), method_is_ours) {
                Some(reason) => {
                    if let Some(call) = call {
                        call.note_reason(reason);
                    }
                    status::of_transport(bare.code(), bare.message(), reason).into_http()
                }
                None => response,
            },
            _ => response,
        }
    }
}

/// Why tonic refused. Other codes are not the transport's: the health service has words of its own, such as NOT_FOUND for
/// a service that it does not know. Of our own services only methods that exist get as far as tonic, so an unimplemented
/// thing is a way of compressing; of the services that are open by name (or switched off, like reflection) it is the method.
fn reason_of(code: Code, method_is_ours: bool) -> Option<Reason> {
    match code {
        Code::Unimplemented if method_is_ours => Some(Reason::MessageMalformed),
        Code::Unimplemented => Some(Reason::MethodUnknown),
        Code::OutOfRange | Code::ResourceExhausted => Some(Reason::MessageTooLarge),
        Code::Internal | Code::InvalidArgument | Code::Unknown => Some(Reason::MessageMalformed),
        _ => None,
    }
}
