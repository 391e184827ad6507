//! Ends a call at its deadline, the caller's `grpc-timeout` or ours, whichever is sooner.
//!
//! tonic enforces `grpc-timeout` too, but answers CANCELLED. This ends a little earlier, so that the caller reads
//! DEADLINE_EXCEEDED. A use case that changes something runs on in its own task: it may happen or not, as the contract says.

use std::time::Duration;

use http::{HeaderMap, Request, Response};
use tonic::body::Body;

use crate::clock::deadline_in;
use crate::error::{Error, Reason};
use crate::grpc::call::Call;

use super::{Around, Next};

/// How much earlier than tonic.
const MARGIN: Duration = Duration::from_millis(5);
/// Most digits of a `grpc-timeout` (gRPC over HTTP/2, "TimeoutValue").
const MAX_DIGITS: usize = 8;

#[derive(Clone)]
pub struct Deadline {
    pub longest: Duration,
}

impl Around for Deadline {
    async fn around(self, request: Request<Body>, next: impl Next) -> Response<Body> {
        let call = request.extensions().get::<Call>().cloned();
        let wanted = requested(request.headers()).map(|wanted| wanted.saturating_sub(MARGIN));
        let limit = wanted.unwrap_or(self.longest).min(self.longest);
        let deadline = deadline_in(limit);
        if let Some(call) = &call {
            call.set_deadline(deadline);
        }
        match (tokio::time::timeout_at(deadline, next.run(request)).await, call) {
            (Ok(response), _) => response,
            (Err(_), Some(call)) => call.refuse(&Error::new(Reason::Deadline)).into_http(),
            (Err(_), None) => crate::grpc::status::of(&Reason::Deadline.into(), uuid::Uuid::nil()).into_http(),
        }
    }
}

/// What `grpc-timeout` says, unless it is malformed, in which case the caller has set no deadline.
fn requested(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > MAX_DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3_600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_in_every_unit_and_nothing_else_is() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", http::HeaderValue::from_static(text));
            requested(&headers)
        };
        assert_eq!(read("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(read("90m"), Some(Duration::from_millis(90)));
        assert_eq!(read("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for text in ["", "5", "S", "-1S", "1.5S", "123456789S", "1x"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
