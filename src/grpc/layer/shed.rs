//! Bounds the calls in work. What is too much is refused at once, before it costs anything.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::body::Body;

use crate::error::{Error, Reason};
use crate::grpc::call::Call;

use super::{Around, Next, proceed};

#[derive(Clone)]
pub struct LoadShed {
    places: Arc<Semaphore>,
}

impl LoadShed {
    pub fn new(most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))) }
    }
}

impl Around for LoadShed {
    async fn around(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        match (self.places.try_acquire(), request.extensions().get::<Call>().cloned()) {
            (Err(_), Some(call)) => {
                let error = Error::new(Reason::Overloaded).retry_after(Duration::from_secs(1));
                call.refuse(&error).into_http()
            }
            (_place, _) => proceed(request, next).await,
        }
    }
}
