//! Turns the credential into a caller.
//!
//! The first half of the authorization interceptor. A path without a rule is refused, but for health and reflection,
//! which are listed here by name; a method that is open to anyone ignores `authorization` altogether, so that a client
//! with a dead token can still sign in.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use tonic::body::Body;

use crate::authz::{Caller, Rule, rule_of};
use crate::crypto::{TokenHash, TokenKind};
use crate::error::{Reason, Result};
use crate::grpc::call::Call;
use crate::grpc::{foresight, status};
use crate::store::{KeyState, SessionState};

use super::{Around, Next};

/// Services that are not ours and open to everybody.
const OPEN_SERVICES: [&str; 3] =
    ["/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/"];
/// The one method that a session may call after it has ended, if it was this very method that ended it.
const SIGN_OUT: &str = "/rolecall.v1.SessionService/SignOut";

#[derive(Clone)]
pub struct Authn;

impl Around for Authn {
    async fn around(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let Some(call) = request.extensions().get::<Call>().cloned() else {
            return status::of(&crate::error::Error::internal("a call without facts"), uuid::Uuid::nil()).into_http();
        };
        // A method is named by its path to the letter. A query would be dropped on the way to the method, so that one
        // method had many names, and what filters by name in front of this server could be got around.
        if request.uri().query().is_some() {
            return call.refuse(&Reason::MethodUnknown.into()).into_http();
        }
        if OPEN_SERVICES.iter().any(|service| call.path().starts_with(service)) {
            return next.run(request).await;
        }
        let Some(rule) = rule_of(call.path()) else {
            return call.refuse(&Reason::MethodUnknown.into()).into_http();
        };
        let (parts, body) = request.into_parts();
        let key = bearer(&parts.headers).ok().and_then(|token| TokenKind::ServiceKey.parse(token));
        let (subject, body) = match key {
            Some(_) => foresight::subject_of(call.path(), body).await,
            None => (None, body),
        };
        let request = Request::from_parts(parts, body);
        match caller(&call, rule, request.headers(), key, subject).await {
            Ok(caller) => {
                call.set_caller(rule, caller);
                next.run(request).await
            }
            Err(error) => call.refuse(&error).into_http(),
        }
    }
}

/// Who calls. If it is a service key, `key` is its hash, and `subject` whom it will ask about.
async fn caller(
    call: &Call,
    rule: &Rule,
    headers: &HeaderMap,
    key: Option<TokenHash>,
    subject: Option<TokenHash>,
) -> Result<Caller> {
    if rule.anyone {
        return Ok(Caller::Anyone);
    }
    let token = bearer(headers)?;
    if token.starts_with(TokenKind::ServiceKey.prefix()) {
        let key = key.ok_or(Reason::ServiceKeyInvalid)?;
        let (key, foreseen) = call.app().key_state(call.now(), key, subject).await?;
        return match key {
            KeyState::Live(key) => {
                call.foresee(foreseen);
                Ok(Caller::ServiceKey(key))
            }
            KeyState::Invalid => Err(Reason::ServiceKeyInvalid.into()),
        };
    }
    match call.app().session_state(call.now(), token).await? {
        SessionState::Live(session) => Ok(Caller::Session(session)),
        SessionState::SignedOut if rule.path == SIGN_OUT => Ok(Caller::SignedOut),
        SessionState::SignedOut | SessionState::Ended => Err(Reason::SessionEnded.into()),
    }
}

/// The bearer token. One that is sent twice is malformed: it would be anybody's guess which counts.
fn bearer(headers: &HeaderMap) -> Result<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), rest) = (values.next(), values.next()) else {
        return Err(Reason::CredentialMissing.into());
    };
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(Reason::CredentialMissing.into());
    }
    if rest.is_some() { Err(Reason::SessionEnded.into()) } else { Ok(token) }
}
