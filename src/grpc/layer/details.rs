//! Gives the errors that tonic makes itself the form of ours: undecodable, compressed and oversized messages come bare.

use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::error::Reason;
use crate::grpc::status;

use super::{Around, Next, proceed};

#[derive(Clone)]
pub struct Details;

impl Around for Details {
    async fn around(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let response = proceed(request, next).await;
        match Status::from_header_map(response.headers()) {
            Some(bare) if bare.code() != Code::Ok && bare.details().is_empty() => {
                status::of_transport(bare.code(), bare.message(), reason_of(bare.code())).into_http()
            }
            _ => response,
        }
    }
}

/// Methods that do not exist never get as far as tonic, so an unimplemented thing is a way of compressing.
fn reason_of(code: Code) -> Reason {
    match code {
        Code::OutOfRange | Code::ResourceExhausted => Reason::MessageTooLarge,
        _ => Reason::MessageMalformed,
    }
}
