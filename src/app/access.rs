//! The question that every other service asks: may they?
//!
//! Strict: each answer comes from database state that is current at some moment after the question arrived. There is no
//! option to relax that, and nothing in here that remembers an answer.

use secrecy::{ExposeSecret, SecretString};

use crate::authz::{Caller, KeyCaller, Op, ServiceScope, gate};
use crate::crypto::{TokenHash, TokenKind};
use crate::error::{Error, FieldReason, FieldViolation, Reason, Result, Violations};
use crate::model::{Role, UserId, WorkspaceId};
use crate::store::{AccessFigures, Found, KeyState, Question, SessionState};

use super::App;

/// Whom a service key asks about.
#[derive(Clone, Debug)]
pub enum CheckSubject {
    SessionToken(SecretString),
    User(UserId),
}

/// One question.
#[derive(Clone, Debug)]
pub struct AccessCheck {
    /// `None`: the session that asks.
    pub subject: Option<CheckSubject>,
    /// The lowest role that may; a permission comes down to that too.
    pub required: Role,
}

/// What was found about a subject together with its caller, after the call had arrived.
#[derive(Clone, Debug)]
pub struct Foreseen {
    token: TokenHash,
    found: Found,
}

/// One answer. Trouble is an error and never an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessVerdict {
    Allowed { user: UserId, workspace: WorkspaceId, role: Role },
    Denied(AccessDenial),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessDenial {
    SessionEnded,
    WrongWorkspace,
    NotAMember { user: UserId, workspace: WorkspaceId },
    RoleTooLow { user: UserId, workspace: WorkspaceId, role: Role, lowest_sufficient: Role },
}

impl App {
    /// What a session token is worth now.
    pub async fn session_state(&self, op_now: crate::clock::Timestamp, token: &str) -> Result<SessionState> {
        let Some(hash) = TokenKind::Session.parse(token) else {
            return Ok(SessionState::Ended);
        };
        self.store().session_state(hash, self.lifetime(), op_now).await
    }

    /// What a service key is worth now, and by the same statement what there is to know of the session that it will
    /// ask about, where that can be told.
    pub async fn key_state(
        &self,
        op_now: crate::clock::Timestamp,
        key: TokenHash,
        subject: Option<TokenHash>,
    ) -> Result<(KeyState, Option<Foreseen>)> {
        let mut questions = vec![Question::ServiceKey(key)];
        questions.extend(subject.map(Question::Session));
        let mut found = self.store().ask(questions).await?.into_iter();
        let key = found.next().unwrap_or(Found::Nothing).service_key(op_now);
        Ok((key, subject.zip(found.next()).map(|(token, found)| Foreseen { token, found })))
    }

    /// How access was asked about so far.
    pub fn access_figures(&self) -> AccessFigures {
        self.store().access_figures()
    }

    /// Notes that an admitted call used its caller's credential.
    pub fn note_use(&self, caller: &Caller, now: crate::clock::Timestamp) {
        match caller {
            Caller::Session(session) => self.0.touches.session(session, now),
            Caller::ServiceKey(key) => self.0.touches.service_key(key, now),
            Caller::Anyone | Caller::SignedOut | Caller::Operator | Caller::System => {}
        }
    }

    /// Answers `checks`, in their order. `path` names the field of check `i`, for errors: one bad check refuses them all.
    /// What was `foreseen` of this call is not asked again.
    pub async fn check_access(
        &self,
        op: &Op,
        checks: &[AccessCheck],
        foreseen: Option<&Foreseen>,
        path: impl Fn(usize, &str) -> String,
    ) -> Result<Vec<AccessVerdict>> {
        let mut violations = Violations::default();
        for (index, check) in checks.iter().enumerate() {
            violations.take(fitting_subject(op, check, || path(index, "subject")));
        }
        violations.finish()?;
        match &op.caller {
            // The caller was read after this call arrived, so what was read is the answer.
            Caller::Session(session) => Ok(checks
                .iter()
                .map(|check| compare(session.user_id, session.workspace_id, session.role, check.required))
                .collect()),
            Caller::ServiceKey(key) => self.check_about_others(op, key, checks, foreseen).await,
            _ => Err(Error::internal("a check by a caller who cannot ask")),
        }
    }

    /// Asks everything at once, so that all answers come from one state of the database.
    async fn check_about_others(
        &self,
        op: &Op,
        key: &KeyCaller,
        checks: &[AccessCheck],
        foreseen: Option<&Foreseen>,
    ) -> Result<Vec<AccessVerdict>> {
        let known = |question: &Question| {
            foreseen.filter(|foreseen| *question == Question::Session(foreseen.token)).map(|foreseen| &foreseen.found)
        };
        let asks_by_user = checks.iter().any(|check| matches!(check.subject, Some(CheckSubject::User(_))));
        let mut questions = Vec::with_capacity(checks.len() + 1);
        if asks_by_user {
            let workspace = op.caller.workspace()?;
            gate::require_scope(key.has(ServiceScope::CheckUserAccess), ServiceScope::CheckUserAccess)?;
            questions.push(Question::Workspace(workspace));
        }
        let asked: Vec<Option<Question>> = checks.iter().map(|check| question(op, check)).collect::<Result<_>>()?;
        questions.extend(asked.iter().flatten().filter(|question| known(question).is_none()));
        let mut answers =
            if questions.is_empty() { Vec::new() } else { self.store().ask(questions).await? }.into_iter();
        if asks_by_user && !answers.next().is_some_and(|workspace| workspace.is_something()) {
            return Err(Reason::WorkspaceNotFound.into());
        }
        let mut verdicts = Vec::with_capacity(checks.len());
        for (check, asked) in checks.iter().zip(asked) {
            let found = match asked {
                Some(question) => known(&question).cloned().or_else(|| answers.next()),
                None => None,
            };
            let found = found.unwrap_or(Found::Nothing);
            verdicts.push(self.verdict(op, key, check, found)?);
        }
        Ok(verdicts)
    }

    fn verdict(&self, op: &Op, key: &KeyCaller, check: &AccessCheck, found: Found) -> Result<AccessVerdict> {
        if let Some(CheckSubject::User(user)) = check.subject {
            let workspace = op.caller.workspace()?;
            return Ok(match found.role() {
                Some(role) => compare(user, workspace, role, check.required),
                None => AccessVerdict::Denied(AccessDenial::NotAMember { user, workspace }),
            });
        }
        let SessionState::Live(session) = found.session(self.lifetime(), op.now) else {
            return Ok(AccessVerdict::Denied(AccessDenial::SessionEnded));
        };
        // A check that finds it live is use of it.
        self.0.touches.session(&session, op.now);
        if key.workspace.is_some_and(|workspace| workspace != session.workspace_id) {
            return Ok(AccessVerdict::Denied(AccessDenial::WrongWorkspace));
        }
        Ok(compare(session.user_id, session.workspace_id, session.role, check.required))
    }
}

/// What has to be found out for a check. There is nothing to find out about a token that is malformed.
fn question(op: &Op, check: &AccessCheck) -> Result<Option<Question>> {
    match &check.subject {
        Some(CheckSubject::SessionToken(token)) => {
            Ok(TokenKind::Session.parse(token.expose_secret()).map(Question::Session))
        }
        Some(CheckSubject::User(user)) => Ok(Some(Question::Membership(op.caller.workspace()?, *user))),
        None => Err(Error::internal("a check whose subject does not fit its caller")),
    }
}

/// A session asks about itself, a service key about somebody.
fn fitting_subject(op: &Op, check: &AccessCheck, field: impl Fn() -> String) -> Result<(), FieldViolation> {
    match (&op.caller, &check.subject) {
        (Caller::Session(_), Some(_)) => {
            Err(FieldViolation::new(field(), FieldReason::NotAllowed, "must be unset: a session asks about itself"))
        }
        (Caller::ServiceKey(_), None) => {
            Err(FieldViolation::new(field(), FieldReason::Required, "must be set by a service key"))
        }
        _ => Ok(()),
    }
}

fn compare(user: UserId, workspace: WorkspaceId, role: Role, required: Role) -> AccessVerdict {
    if role >= required {
        AccessVerdict::Allowed { user, workspace, role }
    } else {
        AccessVerdict::Denied(AccessDenial::RoleTooLow { user, workspace, role, lowest_sufficient: required })
    }
}
