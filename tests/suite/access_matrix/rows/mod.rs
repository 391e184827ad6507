//! The rows: each method with each kind of target.

mod access;
mod invitation;
mod session;
mod user;
mod workspace;

use prost::Message;
use rolecall::authz::ServiceScope;

use super::stage::{Caller, Stage};

type Body = Box<dyn Fn(&Stage, &Caller) -> Option<Vec<u8>>>;

/// One method with one kind of target.
pub struct Row {
    /// `UserService.GetUser`
    pub method: &'static str,
    /// What the call is about. Empty where there is just one thing.
    pub target: &'static str,
    /// The message, unless the target is nothing to this caller (oneself to a key).
    pub body: Body,
    /// What an OK answer says, for the table.
    pub note: fn(&[u8]) -> String,
    /// What the key without the scope lacks, where it is not the scope of the rule.
    pub lacking: Option<ServiceScope>,
    /// Whether it is about the workspace that has not had an Owner instead of Acme.
    pub unfounded: bool,
}

impl Row {
    fn with_note(self, note: fn(&[u8]) -> String) -> Self {
        Self { note, ..self }
    }

    fn lacking(self, scope: ServiceScope) -> Self {
        Self { lacking: Some(scope), ..self }
    }

    fn in_unfounded(self) -> Self {
        Self { unfounded: true, ..self }
    }
}

pub fn all() -> Vec<Row> {
    [user::rows(), invitation::rows(), session::rows(), workspace::rows(), access::rows()]
        .into_iter()
        .flatten()
        .collect()
}

fn row<M: Message>(
    method: &'static str,
    target: &'static str,
    message: impl Fn(&Stage, &Caller) -> M + 'static,
) -> Row {
    row_if(method, target, move |stage, caller| Some(message(stage, caller)))
}

/// A row that is not for every caller.
fn row_if<M: Message>(
    method: &'static str,
    target: &'static str,
    message: impl Fn(&Stage, &Caller) -> Option<M> + 'static,
) -> Row {
    let body: Body = Box::new(move |stage, caller| message(stage, caller).map(|message| message.encode_to_vec()));
    Row { method, target, body, note: |_| String::new(), lacking: None, unfounded: false }
}
