//! What one statement is for, and who answers it.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use crate::crypto::TokenHash;
use crate::error::Result;
use crate::model::{UserId, WorkspaceId};

use super::{Found, Question};

/// What was found, by what was asked. What was not found is not in it.
pub(in crate::store) type Findings = HashMap<Question, Found>;

/// The questions that are asked together, each once, by kind.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Inquiry {
    pub(super) sessions: Vec<TokenHash>,
    pub(super) keys: Vec<TokenHash>,
    pub(super) memberships: Vec<(WorkspaceId, UserId)>,
    pub(super) workspaces: Vec<WorkspaceId>,
}

impl Inquiry {
    pub(super) fn of<'a>(questions: impl Iterator<Item = &'a Question>) -> Self {
        let mut inquiry = Self::default();
        let mut known = HashSet::new();
        for question in questions.filter(|question| known.insert(**question)) {
            match *question {
                Question::Session(hash) => inquiry.sessions.push(hash),
                Question::ServiceKey(hash) => inquiry.keys.push(hash),
                Question::Membership(workspace, user) => inquiry.memberships.push((workspace, user)),
                Question::Workspace(workspace) => inquiry.workspaces.push(workspace),
            }
        }
        inquiry
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len() + self.keys.len() + self.memberships.len() + self.workspaces.len()
    }
}

/// Where answers come from.
#[async_trait]
pub(in crate::store) trait Source: Send + Sync + 'static {
    /// A connection for a while, or the right to one whenever something is asked.
    async fn connect(&self) -> Result<Box<dyn Line>>;

    /// Answers what belongs together as [`Line::ask`] does, but here and now, where that takes less time than to hand it to
    /// another task and back. None where it does not, or something is in the way for the moment.
    fn on_the_spot(&self, _questions: &[Question]) -> Option<Result<Findings>> {
        None
    }

    /// Closes what it has of its own, when nobody reads by it any more.
    async fn close(&self);
}

/// A connection that is in no transaction, or the right to one. Dropped, it goes back to where it came from.
#[async_trait]
pub(in crate::store) trait Line: Send {
    /// Answers what is to be found, all from one state of the database, which is current at some moment after this began.
    async fn ask(&mut self, inquiry: &Inquiry) -> Result<Findings>;
}
