//! The use cases: what may happen, in which order, in one transaction.
//!
//! A use case parses nothing and formats nothing. It opens the transaction (which settles the caller's right), loads,
//! decides with the pure rules of `model`, writes the change together with its audit event and its outbox row, and
//! commits; the answer leaves only after that. Nothing slow (hashing, sending) happens while a transaction is open.

mod accept;
mod access;
mod audit;
mod delivery;
mod invitations;
mod operator;
mod passwords;
mod refusals;
mod sessions;
mod throttle;
mod upkeep;
mod users;
mod workspaces;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, OnceCell};
use tokio::time::{sleep, timeout_at};

use crate::authz::{Caller, Op};
use crate::clock::{Clock, Deadline, Timestamp, deadline_in};
use crate::config::{LinkConfig, QuotaConfig, SecurityConfig};
use crate::crypto::{PasswordPolicy, Passwords, new_uuid, random_fraction};
use crate::error::{Error, Reason, Result};
use crate::model::{Invitation, Member, SessionLifetime, WorkspaceId};
use crate::store::Store;

pub use accept::{AcceptInvitation, Accepted};
pub use access::{AccessCheck, AccessDenial, AccessVerdict, CheckSubject, Foreseen};
pub use delivery::{DeliveryOutcome, OutgoingEmail, SEND_LIMIT};
pub use invitations::CreateInvitation;
pub use operator::{Bootstrapped, CreateServiceKey, HandedOverInvitation};
pub use passwords::{ChangePassword, ResetPassword};
pub use refusals::Refusal;
pub use sessions::{CurrentSession, SignIn, SignedIn};
pub use users::{UserView, Visibility};
pub use workspaces::CreateWorkspace;

use refusals::Refusals;
use throttle::UnderWay;
use upkeep::Touches;

/// The longest pause after a use case has lost against a concurrent change: the first time, and ever.
const FIRST_PAUSE: Duration = Duration::from_millis(8);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// What an attempt needs at least: no other is begun when there is less time left.
const MARGIN: Duration = Duration::from_millis(20);
/// How long after its deadline an operation is given up whose connection does not even fail. The database itself has
/// ended it long before, if there still is one.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The service itself, behind whatever protocol. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

struct Parts {
    store: Store,
    clock: Clock,
    passwords: Passwords,
    lifetime: SessionLifetime,
    audit_retention: Duration,
    links: LinkConfig,
    quotas: QuotaConfig,
    throttled: bool,
    throttle_secret: OnceCell<Vec<u8>>,
    under_way: UnderWay,
    mail_domain: String,
    outbox_filled: Notify,
    touches: Touches,
    refusals: Refusals,
    /// Whether a change has failed because of the database since it was last seen to take one.
    changes_failed: AtomicBool,
}

/// What the service is made of.
pub struct AppConfig<'a> {
    pub security: &'a SecurityConfig,
    pub links: LinkConfig,
    pub quotas: QuotaConfig,
    /// Whether guessing of passwords is slowed. Tests whose clock stands still say no.
    pub throttled: bool,
    /// The domain of message ids.
    pub mail_domain: String,
    /// How many passwords are hashed at once.
    pub hashing_permits: usize,
}

impl App {
    /// # Errors
    /// If passwords cannot be hashed with the configured costs.
    pub fn new(store: Store, clock: Clock, config: AppConfig<'_>) -> Result<Self> {
        let security = config.security;
        let policy = PasswordPolicy { min_chars: security.password_min_length };
        Ok(Self(Arc::new(Parts {
            store,
            clock,
            passwords: Passwords::new(
                policy,
                security.password_hash_memory,
                security.password_hash_iterations,
                1,
                config.hashing_permits,
            )?,
            lifetime: SessionLifetime { idle: security.session_idle_timeout, absolute: security.session_lifetime },
            audit_retention: security.audit_retention,
            links: config.links,
            quotas: config.quotas,
            throttled: config.throttled,
            throttle_secret: OnceCell::new(),
            under_way: UnderWay::default(),
            mail_domain: config.mail_domain,
            outbox_filled: Notify::new(),
            touches: Touches::default(),
            refusals: Refusals::default(),
            changes_failed: AtomicBool::new(false),
        })))
    }

    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Whether the database answers and, if a change has failed for its sake, takes changes again.
    pub async fn ping(&self) -> Result<()> {
        if self.0.changes_failed.load(Ordering::SeqCst) {
            self.store().probe_write(&self.system_op()).await?;
            self.0.changes_failed.store(false, Ordering::SeqCst);
        }
        self.store().ping().await
    }

    /// Notes how a change has ended.
    pub fn note_change<T>(&self, outcome: &Result<T>) {
        if outcome.as_ref().is_err_and(|error| error.reason() == Reason::DatabaseUnavailable) {
            self.0.changes_failed.store(true, Ordering::SeqCst);
        }
    }

    /// Completes when an e-mail was queued since the last time.
    pub async fn outbox_filled(&self) {
        self.0.outbox_filled.notified().await;
    }

    fn store(&self) -> &Store {
        &self.0.store
    }

    fn lifetime(&self) -> SessionLifetime {
        self.0.lifetime
    }

    /// Says that a committed transaction has queued an e-mail.
    fn wake_outbox(&self) {
        self.0.outbox_filled.notify_one();
    }

    /// An operation of Rolecall itself, now.
    fn system_op(&self) -> Op {
        let now = self.now();
        Op::internal(Caller::System, new_uuid(now), now)
    }

    /// The caller's workspace, for reading. A session's exists; a service key may name any.
    async fn workspace_to_read(&self, op: &Op) -> Result<WorkspaceId> {
        let workspace = op.caller.workspace()?;
        if matches!(op.caller, Caller::ServiceKey(_)) {
            self.store().workspace(workspace).await?;
        }
        Ok(workspace)
    }
}

/// Runs a use case, and runs it again as a whole while a concurrent change wins against it and the deadline is not
/// near.
///
/// # Errors
/// `CONFLICT` if it lost every time; `DATABASE_UNAVAILABLE` if a database that is gone without a word has kept an
/// attempt for long after the deadline.
pub async fn retrying<T, F, R>(deadline: Deadline, mut attempt: F) -> Result<T>
where
    F: FnMut() -> R,
    R: Future<Output = Result<T>>,
{
    let mut longest = FIRST_PAUSE;
    loop {
        let outcome = timeout_at(deadline + GIVE_UP, attempt()).await;
        let outcome = outcome.unwrap_or_else(|_| Err(Error::new(Reason::DatabaseUnavailable).retry_after(GIVE_UP)));
        let pause = longest.mul_f64(random_fraction());
        match outcome {
            Err(error) if error.reason() != Reason::Conflict || error.is_given_up() => return Err(error),
            Err(_) if deadline_in(pause + MARGIN) < deadline => sleep(pause).await,
            Err(error) => return Err(error.given_up()),
            done => return done,
        }
        longest = (longest * 2).min(LONGEST_PAUSE);
    }
}

/// A member after a change, and the invitations that went with it.
#[derive(Clone, Debug)]
pub struct MemberChange {
    pub member: Member,
    pub ended_sessions: u64,
    pub canceled_invitations: Vec<Invitation>,
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn what_was_given_up_inside_is_not_begun_anew_outside() {
        let (begun, tried) = (Cell::new(0), Cell::new(0));
        let over = deadline_in(Duration::ZERO);
        let inside = || async {
            tried.set(tried.get() + 1);
            Err::<(), _>(Error::new(Reason::Conflict))
        };
        let outside = || async {
            begun.set(begun.get() + 1);
            retrying(over, inside).await
        };
        let error = retrying(deadline_in(Duration::from_millis(300)), outside).await.unwrap_err();
        assert_eq!((error.reason(), begun.get(), tried.get()), (Reason::Conflict, 1, 1));
    }
}
