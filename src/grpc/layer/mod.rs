//! The layers around every method, one a file. Their order, with its reasons, is [`super::server::LAYERS`].
//!
//! tonic's own interceptors cannot await, so these are tower layers. Each implements [`Around`].

mod authn;
mod conduct;
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
pub use conduct::Conduct;
pub use deadline::Deadline;
pub use details::Details;
pub use panic::PanicGuard;
pub use rule::RuleGate;
pub use shed::LoadShed;
pub use trace::Trace;

/// What stands further in: the next layer, or in the end the method.
pub trait Next: Send {
    fn run(self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;
}

/// Something that is done around a call.
pub trait Around: Clone + Send + Sync + 'static {
    fn around(self, request: Request<Body>, next: impl Next) -> impl Future<Output = Response<Body>> + Send;
}

/// Layers as one tower layer, so that a call is one future however many there are.
#[derive(Clone)]
pub struct Layers<A>(A);

impl<A: Around> Layers<A> {
    pub fn outermost(around: A) -> Self {
        Self(around)
    }

    /// Adds a layer inside of those that are there.
    pub fn inside<B: Around>(self, around: B) -> Layers<Nested<A, B>> {
        Layers(Nested { outer: self.0, inner: around })
    }
}

#[derive(Clone)]
pub struct Nested<A, B> {
    outer: A,
    inner: B,
}

impl<A: Around, B: Around> Around for Nested<A, B> {
    fn around(self, request: Request<Body>, next: impl Next) -> impl Future<Output = Response<Body>> + Send {
        self.outer.around(request, Inner { around: self.inner, next })
    }
}

struct Inner<A, N> {
    around: A,
    next: N,
}

impl<A: Around, N: Next> Next for Inner<A, N> {
    fn run(self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send {
        self.around.around(request, self.next)
    }
}

/// The method itself.
struct Method<S>(S);

impl<S> Next for Method<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Send,
{
    async fn run(mut self, request: Request<Body>) -> Response<Body> {
        match self.0.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

impl<A: Clone, S> Layer<S> for Layers<A> {
    type Service = Layered<A, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Layered { around: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub struct Layered<A, S> {
    around: A,
    inner: S,
}

impl<A, S> Service<Request<Body>> for Layered<A, S>
where
    A: Around,
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + 'static,
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
        Box::pin(async move { Ok(around.around(request, Method(ready)).await) })
    }
}
