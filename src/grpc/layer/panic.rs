//! A panic costs the call that it happens in, and nothing else.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use http::{Request, Response};
use tonic::body::Body;

use crate::error::Error;
use crate::grpc::call::Call;

use super::{Around, Next, proceed};

#[derive(Clone)]
pub struct PanicGuard;

impl Around for PanicGuard {
    async fn around(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let call = request.extensions().get::<Call>().cloned();
        // Nothing of the call is looked at after a panic, so nothing half changed is seen.
        match (AssertUnwindSafe(proceed(request, next)).catch_unwind().await, call) {
            (Ok(response), _) => response,
            (Err(_), Some(call)) => call.refuse(&Error::internal("a panic")).into_http(),
            (Err(panic), None) => std::panic::resume_unwind(panic),
        }
    }
}
