//! The layers around every method, one a file. Their order, with its reasons, is [`super::server::LAYERS`].
//!
//! tonic's own interceptors cannot await, so these are tower layers. Each implements [`Around`].

mod authn;
mod deadline;
mod details;
mod panic;
mod rule;
mod shed;
mod trace;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

pub use authn::Authn;
pub use deadline::Deadline;
pub use details::Details;
pub use panic::PanicGuard;
pub use rule::RuleGate;
pub use shed::LoadShed;
pub use trace::Trace;

/// What stands further in: the next layer, or in the end the method.
pub trait Next: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Send {}

impl<S> Next for S where S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Send {}

/// Something that is done around a call.
pub trait Around: Clone + Send + Sync + 'static {
    fn around(self, request: Request<Body>, next: impl Next) -> impl Future<Output = Response<Body>> + Send;
}

/// Hands the call on.
pub async fn proceed(request: Request<Body>, mut next: impl Next) -> Response<Body> {
    match next.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Makes a tower layer of something that is done around a call.
#[derive(Clone)]
pub struct AroundLayer<A>(pub A);

impl<A: Clone, S> Layer<S> for AroundLayer<A> {
    type Service = AroundService<A, S>;

    fn layer(&self, inner: S) -> Self::Service {
        AroundService { around: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub struct AroundService<A, S> {
    around: A,
    inner: S,
}

impl<A, S> Service<Request<Body>> for AroundService<A, S>
where
    A: Around,
    S: Next + Clone + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // What was polled ready is what must be called; its clone need not be ready.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let around = self.around.clone();
        Box::pin(async move { Ok(around.around(request, ready).await) })
    }
}
