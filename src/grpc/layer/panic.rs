//! A panic costs the call that it happens in, and nothing else.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use http::{Request, Response};
use tonic::body::Body;

use crate::error::Error;
use crate::grpc::call::Call;

use super::{Around, Next};

#[derive(Clone)]
pub struct PanicGuard;

impl Around for PanicGuard {
    async fn around(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let call = request.extensions().get::<Call>().cloned();
        // Nothing of the call is looked at after a panic, so nothing half changed is seen.
        match (AssertUnwindSafe(next.run(request)).catch_unwind().await, call) {
            (Ok(response), _) => response,
            (Err(_), Some(call)) => call.refuse(&Error::internal("a panic")).into_http(),
            (Err(panic), None) => std::panic::resume_unwind(panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};

    use super::*;
    use crate::app::{App, AppConfig};
    use crate::clock::{Clock, Timestamp};
    use crate::config::{DatabaseConfig, LinkConfig, QuotaConfig, SecurityConfig};
    use crate::store::Store;

    struct Broken;

    impl Next for Broken {
        async fn run(self, _: Request<Body>) -> Response<Body> {
            panic!("on purpose")
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_internal_error_of_its_call() {
        let folder = tempfile::tempdir().unwrap();
        let database_url = format!("sqlite://{}", folder.path().join("test.db").display());
        let store = Store::open(&DatabaseConfig::at(database_url)).await.unwrap();
        let config = AppConfig {
            security: &SecurityConfig::default(),
            links: LinkConfig::default(),
            quotas: QuotaConfig::default(),
            throttled: true,
            mail_domain: "rolecall.example".into(),
            hashing_permits: 1,
        };
        let app = App::new(store, Clock::system(), config).unwrap();
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Call::new(app, uuid::Uuid::nil(), Timestamp::from_micros(0), "/x"));
        let response = PanicGuard.around(request, Broken).await;
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("on purpose"), "{status:?}");
    }
}
