//! Names the call, and writes its one line to the log.

use std::time::Instant;

use http::{Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::app::App;
use crate::authz::Caller;
use crate::crypto::new_uuid;
use crate::grpc::call::Call;

use super::{Around, Next};

/// What the paths of checks begin with.
const CHECKS: &str = "/rolecall.v1.AccessService/";
const PROBES: &str = "/grpc.health.v1.Health/";

#[derive(Clone)]
pub struct Trace {
    pub app: App,
}

impl Around for Trace {
    async fn around(self, mut request: Request<Body>, next: impl Next) -> Response<Body> {
        let start = Instant::now();
        let now = self.app.now();
        let call = Call::new(self.app, new_uuid(now), now, request.uri().path());
        request.extensions_mut().insert(call.clone());
        // A client that goes away drops this future; the call has its line all the same.
        let mut line = Line { call, start, code: Code::Cancelled };
        let response = next.run(request).await;
        line.code = code_of(&response);
        response
    }
}

/// Written when it is dropped.
struct Line {
    call: Call,
    start: Instant,
    code: Code,
}

impl Drop for Line {
    fn drop(&mut self) {
        log(&self.call, self.code, self.start);
    }
}

/// An error stands in the headers; without one the answer, of which a unary method has just one, is good.
fn code_of(response: &Response<Body>) -> Code {
    Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code())
}

/// One line a call. No token, password or address is in it.
fn log(call: &Call, code: Code, start: Instant) {
    // Checks that are answered come by the thousand a second, probes as long as there is a service.
    let quiet = code == Code::Ok && [CHECKS, PROBES].iter().any(|service| call.path().starts_with(service));
    // Nobody pays for a line that nobody reads.
    let heard = if quiet {
        tracing::enabled!(target: "rolecall::rpc", tracing::Level::DEBUG)
    } else {
        tracing::enabled!(target: "rolecall::rpc", tracing::Level::INFO)
    };
    if !heard {
        return;
    }
    let ms = (start.elapsed().as_secs_f64() * 1e5).round() / 100.0;
    let caller = call.caller().map(name_of).unwrap_or_default();
    let reason = call.reason().map(|reason| reason.as_str()).unwrap_or_default();
    // Paths that are not ours are the client's words.
    let method: String = call.path().chars().take(100).filter(|c| c.is_ascii_graphic()).collect();
    let request_id = call.request_id();
    if quiet {
        tracing::debug!(target: "rolecall::rpc", method, caller, ?code, reason, ms, %request_id, "call");
    } else {
        tracing::info!(target: "rolecall::rpc", method, caller, ?code, reason, ms, %request_id, "call");
    }
}

fn name_of(caller: &Caller) -> String {
    match caller {
        Caller::Anyone => "anyone".to_owned(),
        Caller::SignedOut => "signed out".to_owned(),
        Caller::Session(session) => format!("user {} session {}", session.user_id, session.session_id),
        Caller::ServiceKey(key) => format!("service key {}", key.name),
        Caller::Operator => "operator".to_owned(),
        Caller::System => "system".to_owned(),
    }
}
