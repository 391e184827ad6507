//! Gives the errors that tonic makes itself the form of ours: undecodable, compressed and oversized messages come bare.

use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::authz::rule_of;
use crate::error::Reason;
use crate::grpc::status;

use super::{Around, Next, proceed};

#[derive(Clone)]
pub struct Details;

impl Around for Details {
    async fn around(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let method_is_ours = rule_of(request.uri().path()).is_some();
        let response = proceed(request, next).await;
        match Status::from_header_map(response.headers()) {
            Some(bare) if bare.code() != Code::Ok && bare.details().is_empty() => {
                status::of_transport(bare.code(), bare.message(), reason_of(bare.code(), method_is_ours)).into_http()
            }
            _ => response,
        }
    }
}

/// Of our own services only methods that exist get as far as tonic, so an unimplemented thing is a way of compressing.
/// Of the services that are open by name (or switched off, like reflection) it is the method.
fn reason_of(code: Code, method_is_ours: bool) -> Reason {
    match code {
        Code::Unimplemented if !method_is_ours => Reason::MethodUnknown,
        Code::OutOfRange | Code::ResourceExhausted => Reason::MessageTooLarge,
        _ => Reason::MessageMalformed,
    }
}
