//! What a refused call says.

use std::collections::HashMap;

use tonic::{Code, Response, Status};
use tonic_types::StatusExt;

/// Most bytes that an error takes in a trailer, whatever a request was made of: clients commonly take 8 KiB of metadata,
/// and base64 makes 4 bytes of 3.
const MOST_DETAILS: usize = 4_500;
const MOST_TEXT: usize = 1_000;

/// A refusal, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: Code,
    pub reason: String,
    pub message: String,
    pub metadata: HashMap<String, String>,
    /// Field and reason of each violation.
    pub fields: Vec<(String, String)>,
    pub retry_info: bool,
}

impl Refused {
    /// Takes a status apart. Every error that the service makes has the form of the contract, and a size that clients take.
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().unwrap_or_else(|| panic!("an error without ErrorInfo: {status:?}"));
        assert_eq!(info.domain, "rolecall");
        let violations = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
        if status.code() == Code::InvalidArgument && info.reason == "FIELD_INVALID" {
            assert!(!violations.is_empty(), "an invalid field without a name: {status:?}");
        }
        let (details_size, text_size) = (status.details().len(), status.message().len());
        assert!(
            details_size <= MOST_DETAILS && text_size <= MOST_TEXT,
            "{details_size} and {text_size} bytes of error: {}",
            status.message()
        );
        // Who reads only the sentence reads as much as a program does.
        for (key, value) in &info.metadata {
            assert!(status.message().contains(&format!("{key} {value}")), "{status:?}");
        }
        let retry_info = details.retry_info().is_some();
        if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) {
            assert!(retry_info, "nothing says when to try again: {status:?}");
        }
        Self {
            code: status.code(),
            reason: info.reason.clone(),
            message: status.message().to_owned(),
            metadata: info.metadata.clone(),
            fields: violations.into_iter().map(|violation| (violation.field, violation.reason)).collect(),
            retry_info,
        }
    }

    /// The reason alone, for comparing.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// The refusal of a call that must have been refused.
pub fn refused<T: std::fmt::Debug>(result: Result<Response<T>, Status>) -> Refused {
    match result {
        Ok(response) => panic!("it was not refused: {:?}", response.into_inner()),
        Err(status) => Refused::from_status(&status),
    }
}

/// "OK", or the reason of the refusal.
pub fn outcome<T>(result: &Result<Response<T>, Status>) -> String {
    match result {
        Ok(_) => "OK".to_owned(),
        Err(status) => Refused::from_status(status).reason,
    }
}
