//! Bounds the calls in work. What is too much is refused at once, before it costs anything. A call keeps its place until
//! its use case is done, even if the client has gone.

use std::sync::Arc;

use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::body::Body;

use crate::error::Reason;
use crate::grpc::call::Call;

use super::{Around, Next};

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
        let Some(call) = request.extensions().get::<Call>().cloned() else {
            return next.run(request).await;
        };
        match self.places.try_acquire_owned() {
            Ok(place) => call.hold(place),
            Err(_) => {
                return call.refuse(&Reason::Overloaded.into()).into_http();
            }
        }
        next.run(request).await
    }
}
