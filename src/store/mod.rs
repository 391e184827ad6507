//! The database: the only place that knows SeaORM.
//!
//! Reads go through [`Store`], changes through [`Write`], a transaction as a guard: it commits by `commit`, and whatever
//! else happens to it rolls it back. It belongs to the use case; nothing in here opens one of its own. What must stay
//! true of it:
//!
//! - **Opening one settles the caller's right.** It locks the workspace by setting its revision, and then, in a second
//!   statement, reads the caller's session and membership (or key) again and holds the method's rule against them. One
//!   statement that locked and read would see the role from before the other transaction's commit.
//! - **One lock order**: workspace (the target's), name, user, sessions, counters of guesses. What takes rows out
//!   of that order (use that is recorded, housekeeping) skips those that are locked.
//! - **`begin` runs in a task of its own.** A begin that is canceled halfway leaves a connection inside a transaction
//!   that nobody owns (sqlx issue 4393).
//! - **Never two at once in one task**: on SQLite the second waits for the first.
//! - Every query takes the workspace; there is no look-up across tenants but by token, by address, or by the system.

mod access;
mod audit;
mod devices;
mod dialect;
mod entity;
mod error;
mod invitations;
mod keyset;
mod last_use;
mod links;
mod memberships;
mod migration;
mod outbox;
mod quotas;
mod requests;
mod resets;
mod schema;
mod secrets;
mod service_keys;
mod sessions;
mod sweep;
mod throttle;
mod touch;
mod users;
mod workspaces;

use std::sync::Arc;

use sea_orm::sea_query::{Expr, Query};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, FromQueryResult,
    Insert, Iterable, QueryTrait, Select, UpdateMany,
};

use crate::authz::{Caller, Op, gate};
use crate::config::DatabaseConfig;
use crate::error::{Error, Reason, Result};
use crate::model::{Account, UserId, Workspace, WorkspaceId};

pub use access::{AccessFigures, Found, Histogram, KeyState, Question, SessionState};
pub use error::OpenError;
pub use invitations::{InvitationFilter, NewInvitation};
pub use links::InvitationLink;
pub use memberships::{MemberFilter, MembershipChange};
pub use outbox::{EmailSubject, LeasedEmail, Settlement};
pub use requests::RequestKey;
pub use schema::SchemaState;
pub use service_keys::{NewServiceKey, ServiceKey};
pub use sessions::NewSession;
pub use sweep::{SweepKind, SweepLimits};
pub use throttle::{Settled, ThrottleKey};

use error::{refused, refused_at_commit};
use throttle::name_key;

/// The open database. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<dialect::Opened>);

impl Store {
    /// Opens the database, creating it if the URL says a file that does not exist. The schema is not looked at.
    pub async fn open(config: &DatabaseConfig) -> Result<Self, OpenError> {
        let opened = dialect::open(config).await?;
        Ok(Self(Arc::new(opened)))
    }

    /// Closes all connections; what was committed is on the disk already.
    pub async fn close(&self) {
        self.0.desk.close().await;
        for pool in [&self.0.reader, &self.0.writer] {
            if let Err(error) = pool.clone().close().await {
                tracing::warn!(%error, "closing the database");
            }
        }
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.0.dialect.require_present()?;
        self.reader().ping().await.map_err(refused)
    }

    /// Whether the database takes changes: it may answer from a disk that is full, or that it may only read.
    pub async fn probe_write(&self, op: &Op) -> Result<()> {
        let mut write = self.begin(op).await?;
        write.try_secret().await?;
        match schema::lock(&write.txn).await {
            Ok(()) => write.commit().await,
            // Somebody holds the row, so it can be written to.
            Err(error) if error::is_lost_race(&error) => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    /// Opens the transaction of an operation in its caller's workspace.
    ///
    /// # Errors
    /// What the gate says of the caller by now, `WORKSPACE_REQUIRED`, `WORKSPACE_NOT_FOUND`, `DATABASE_UNAVAILABLE`, `CONFLICT`.
    pub async fn write(&self, op: &Op) -> Result<Write> {
        self.write_in(op, op.caller.workspace()?).await
    }

    /// Opens the transaction of an operation in `workspace`, which need not be the caller's.
    pub async fn write_in(&self, op: &Op, workspace: WorkspaceId) -> Result<Write> {
        let mut write = self.begin(op).await?;
        write.lock_workspace(workspace).await?;
        match &op.caller {
            // Its own workspace is not locked, so what could end the session meanwhile has to be: see the lock order.
            Caller::Session(session) if session.workspace_id != workspace => write.lock_user(session.user_id).await?,
            _ => write.settle().await?,
        }
        Ok(write)
    }

    /// Opens a transaction that belongs to no workspace that exists yet.
    pub async fn write_unscoped(&self, op: &Op) -> Result<Write> {
        let mut write = self.begin(op).await?;
        write.settle().await?;
        Ok(write)
    }

    /// Opens a transaction for what is recorded beside an operation and needs no right of its caller.
    pub async fn write_background(&self, op: &Op) -> Result<Write> {
        self.begin(op).await
    }

    async fn begin(&self, op: &Op) -> Result<Write> {
        self.0.dialect.require_present()?;
        let database = Arc::clone(&self.0);
        let begin = async move { database.dialect.begin(&database.writer).await };
        let txn = tokio::spawn(begin).await.map_err(Error::internal)?.map_err(refused)?;
        Ok(Write { txn, op: op.clone(), workspace: None })
    }

    fn reader(&self) -> &DatabaseConnection {
        &self.0.reader
    }
}

/// An open write transaction. Dropped without `commit`, it is rolled back.
pub struct Write {
    txn: DatabaseTransaction,
    /// The operation, with the caller as the database knows it inside this transaction.
    op: Op,
    /// The workspace that is locked, for as long as this transaction has not changed it.
    workspace: Option<Workspace>,
}

impl Write {
    /// Makes everything that was done in here permanent, durably.
    ///
    /// # Errors
    /// `CONFLICT`: then nothing of it is. `DATABASE_UNAVAILABLE`: then it may be.
    pub async fn commit(self) -> Result<()> {
        self.txn.commit().await.map_err(refused_at_commit)
    }

    /// The operation, with the caller's standing as of this transaction. Use cases decide by this and not by what the
    /// call came in with, since a right that was lost in the middle of a call is lost.
    pub fn op(&self) -> &Op {
        &self.op
    }

    /// Locks a user's row: whoever begins or ends sessions of a user does so first. If that is the caller, its own
    /// session may have ended while this waited, and the caller's right is settled once more.
    pub async fn lock_user(&mut self, user: UserId) -> Result<()> {
        users::locking(user).exec(&self.txn).await.map_err(refused)?;
        if self.op.is_by(user) { self.settle().await } else { Ok(()) }
    }

    /// As [`Write::lock_user`]. Answers the account as it is under the lock.
    pub async fn lock_account(&mut self, user: UserId) -> Result<Account> {
        let account = users::account_of(updated(&self.txn, users::locking(user)).await?)?;
        if self.op.is_by(user) {
            self.settle().await?;
        }
        Ok(account)
    }

    /// Lets only one transaction at a time be about `name`, which need not exist anywhere: the first of a kind has no
    /// row that could be locked.
    pub async fn lock_name(&mut self, kind: &'static str, name: &str) -> Result<()> {
        self.lock_throttle_counters(&[name_key(kind, name)]).await?;
        Ok(())
    }

    async fn lock_workspace(&mut self, workspace: WorkspaceId) -> Result<()> {
        self.workspace = Some(workspaces::found(updated(&self.txn, workspaces::locking(workspace)).await?)?);
        Ok(())
    }

    /// Reads the caller again and holds the rule against what it is now.
    async fn settle(&mut self) -> Result<()> {
        let op = &self.op;
        match &op.caller {
            Caller::Session(session) => {
                let now = access::live_session(&self.txn, session.token_key, op.now).await?;
                // What it was found by is only the beginning of its token's hash.
                let now = now.filter(|now| now.session_id == session.session_id);
                self.op.caller = Caller::Session(now.ok_or(Reason::SessionEnded)?);
            }
            Caller::ServiceKey(key) => {
                let now = access::live_key(&self.txn, key.key_id, op.now).await?;
                let mut now = now.ok_or(Reason::ServiceKeyInvalid)?;
                now.workspace = key.workspace;
                self.op.caller = Caller::ServiceKey(now);
            }
            Caller::Anyone | Caller::SignedOut | Caller::Operator | Caller::System => {}
        }
        match self.op.rule {
            Some(rule) => gate::admit(rule, &self.op.caller),
            None => Ok(()),
        }
    }
}

/// Has an update of one row done. Answers the row as it is then, if there is one.
///
/// The columns are named: what `*` stands for is another thing once the next release has added one, and a statement that
/// was prepared before fails from then on.
async fn updated<E: EntityTrait>(txn: &DatabaseTransaction, update: UpdateMany<E>) -> Result<Option<E::Model>> {
    let row = Query::returning().columns(E::Column::iter());
    let row = txn.query_one(&update.into_query().returning(row).take()).await.map_err(refused)?;
    row.map(|row| E::Model::from_query_result(&row, "").map_err(refused)).transpose()
}

/// Inserts one row. Answers what each of `counts` is, with that row (SQLite) or without it.
async fn inserted<E: EntityTrait, A: ActiveModelTrait<Entity = E>, const COUNTS: usize>(
    txn: &DatabaseTransaction,
    insert: Insert<A>,
    counts: [Select<E>; COUNTS],
) -> std::result::Result<[u64; COUNTS], DbErr> {
    let counts = Query::returning().exprs(counts.map(|count| Expr::from(count.into_query())));
    let row = txn.query_one(&insert.into_query().returning(counts).take()).await?.ok_or(DbErr::RecordNotInserted)?;
    let mut answer = [0; COUNTS];
    for (index, count) in answer.iter_mut().enumerate() {
        *count = row.try_get_by_index::<i64>(index)?.unsigned_abs();
    }
    Ok(answer)
}
