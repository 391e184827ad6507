//! The first schema. Names are literal here: entities move on, this does not.

use sea_orm::DatabaseBackend;
use sea_orm_migration::prelude::*;

use crate::store::dialect::byte_order;

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m0001_initial"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_database_backend();
        let (membership, session) = (with_room(db, membership(db)), with_room(db, session(db)));
        for table in [workspace(db), user_account(db), membership, session, invitation(db), invitation_token()] {
            manager.create_table(table).await?;
        }
        for table in [password_reset(), outbox(db), audit_event(db), service_key(db), request_record(db)] {
            manager.create_table(table).await?;
        }
        for table in [known_device(), throttle(), secret(db)] {
            manager.create_table(table).await?;
        }
        for index in indexes(db) {
            manager.create_index(index).await?;
        }
        if db == DatabaseBackend::Sqlite {
            manager.get_connection().execute_unprepared(SESSION_ROLE).await?;
        }
        Ok(())
    }
}

/// What the foreign key of sessions does in cascade, for tools that do not enforce foreign keys, such as SQLite's own shell.
const SESSION_ROLE: &str = "CREATE TRIGGER session_role AFTER UPDATE OF role, removed_at ON membership BEGIN
    UPDATE session SET role = NEW.active_role
    WHERE workspace_id = NEW.workspace_id AND user_id = NEW.user_id AND role IS NOT NULL;
END";

fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).take()
}

fn id(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().not_null().take()
}

fn maybe_id(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).uuid().take()
}

/// Text, ordered by its bytes.
fn text(db: DatabaseBackend, name: &'static str) -> ColumnDef {
    maybe_text(db, name).not_null().take()
}

fn maybe_text(db: DatabaseBackend, name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name).text().take();
    if let Some(order) = byte_order(db) {
        column.extra(order);
    }
    column
}

fn moment(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

fn maybe_moment(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().take()
}

/// 64 bits. As a primary key under this name of the type it is the row's own number on SQLite.
fn whole_number(db: DatabaseBackend, name: &'static str) -> ColumnDef {
    match db {
        DatabaseBackend::Sqlite => integer(name),
        _ => moment(name),
    }
}

fn hash(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).binary().not_null().take()
}

fn small(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).small_integer().not_null().take()
}

fn integer(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).integer().not_null().take()
}

fn flag(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).boolean().not_null().take()
}

fn references(column: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from_col(column).to(table, "id").take()
}

fn role_is_known() -> Expr {
    Expr::col("role").between(1, 4)
}

/// Leaves room on each page, where PostgreSQL puts the next version of a row that is marked as used, or as signed in to.
/// Where there is none it goes to another page, and every index has to be told.
fn with_room(db: DatabaseBackend, mut table: TableCreateStatement) -> TableCreateStatement {
    match db {
        DatabaseBackend::Postgres => table.extra("WITH (fillfactor = 70)").take(),
        _ => table,
    }
}

fn workspace(db: DatabaseBackend) -> TableCreateStatement {
    table("workspace")
        .col(id("id").primary_key())
        .col(text(db, "name"))
        .col(moment("revision"))
        .col(moment("created_at"))
        .col(maybe_moment("founded_at"))
        .col(moment("owner_count"))
        // A workspace that has had an Owner always keeps one. The use cases see to it; this is the second lock.
        .check(Expr::col("founded_at").is_null().or(Expr::col("owner_count").gte(1)))
        .check(Expr::col("owner_count").gte(0))
        .take()
}

fn user_account(db: DatabaseBackend) -> TableCreateStatement {
    table("user_account")
        .col(id("id").primary_key())
        .col(text(db, "email").unique_key())
        .col(text(db, "display_name"))
        .col(text(db, "password_hash"))
        .col(moment("revision"))
        .col(moment("created_at"))
        .col(integer("reset_issue"))
        .take()
}

fn membership(db: DatabaseBackend) -> TableCreateStatement {
    table("membership")
        .col(id("workspace_id"))
        .col(id("user_id"))
        .col(small("role"))
        .col(text(db, "email"))
        .col(text(db, "display_name"))
        .col(text(db, "search_text"))
        .col(moment("joined_at"))
        .col(maybe_moment("removed_at"))
        // Of sessions that are no longer there.
        .col(maybe_moment("last_seen_at"))
        .col(maybe_moment("last_sign_in_at"))
        .primary_key(Index::create().col("workspace_id").col("user_id"))
        // What sessions stand on.
        .col(ColumnDef::new("active_role").small_integer().generated(active_role(), true))
        .index(Index::create().unique().name("membership_role").col("workspace_id").col("user_id").col("active_role"))
        .foreign_key(&mut references("workspace_id", "workspace"))
        .foreign_key(&mut references("user_id", "user_account"))
        .check(role_is_known())
        .take()
}

/// The role of a membership, as long as it has not ended.
fn active_role() -> Expr {
    CaseStatement::new().case(Expr::col("removed_at").is_null(), Expr::col("role")).into()
}

fn session(db: DatabaseBackend) -> TableCreateStatement {
    table("session")
        // The beginning of the token's hash, by which a check finds the row: on SQLite it is what the table is ordered by.
        .col(whole_number(db, "token_key").primary_key())
        .col(id("id").unique_key())
        .col(hash("token_hash"))
        .col(id("sign_in_id"))
        .col(id("user_id"))
        .col(id("workspace_id"))
        .col(moment("created_at"))
        .col(moment("last_used_at"))
        .col(moment("expires_at"))
        .col(moment("authenticated_at"))
        // That of the membership, until either ends.
        .col(ColumnDef::new("role").small_integer())
        .col(maybe_moment("ended_at"))
        .col(flag("signed_out"))
        .col(text(db, "user_agent"))
        .col(text(db, "client_address"))
        .check(Expr::col("role").is_null().or(Expr::col("ended_at").is_null()))
        // A session with a role that its membership does not have, or no longer, cannot exist, not even for a moment: who is
        // asked about access looks at the session alone. One that has ended has no role, and refers to nothing.
        .foreign_key(
            ForeignKey::create()
                .from_col("workspace_id")
                .from_col("user_id")
                .from_col("role")
                .to_tbl("membership")
                .to_col("workspace_id")
                .to_col("user_id")
                .to_col("active_role")
                .on_update(ForeignKeyAction::Cascade),
        )
        .take()
}

fn invitation(db: DatabaseBackend) -> TableCreateStatement {
    table("invitation")
        .col(id("id").primary_key())
        .col(id("workspace_id"))
        .col(text(db, "email"))
        .col(small("role"))
        .col(integer("issue"))
        .col(maybe_id("invited_by"))
        .col(moment("created_at"))
        .col(moment("expires_at"))
        .col(maybe_moment("accepted_at"))
        .col(maybe_id("accepted_by"))
        .col(maybe_moment("canceled_at"))
        .col(flag("replaced"))
        .col(flag("founding"))
        .col(ColumnDef::new("delivery_state").small_integer())
        .col(integer("attempt_count"))
        .col(maybe_moment("last_attempt_at"))
        .col(text(db, "last_error"))
        .foreign_key(&mut references("workspace_id", "workspace"))
        .check(role_is_known())
        .check(Expr::col("accepted_at").is_null().or(Expr::col("canceled_at").is_null()))
        .take()
}

fn invitation_token() -> TableCreateStatement {
    table("invitation_token")
        .col(hash("token_hash").primary_key())
        .col(id("invitation_id"))
        .col(integer("issue"))
        .col(moment("created_at"))
        .foreign_key(&mut references("invitation_id", "invitation"))
        .take()
}

fn password_reset() -> TableCreateStatement {
    table("password_reset")
        .col(hash("token_hash").primary_key())
        .col(id("user_id"))
        .col(integer("issue"))
        .col(moment("created_at"))
        .col(moment("expires_at"))
        .foreign_key(&mut references("user_id", "user_account"))
        .take()
}

fn known_device() -> TableCreateStatement {
    table("known_device")
        .col(hash("token_hash").primary_key())
        .col(id("user_id"))
        .col(moment("created_at"))
        .col(moment("expires_at"))
        .foreign_key(&mut references("user_id", "user_account"))
        .take()
}

fn throttle() -> TableCreateStatement {
    table("throttle")
        .col(hash("key").primary_key())
        .col(integer("count"))
        .col(moment("window_start"))
        .col(moment("blocked_until"))
        .col(moment("expires_at"))
        .take()
}

/// Keys that belong to the data: made once, kept with it.
fn secret(db: DatabaseBackend) -> TableCreateStatement {
    table("secret").col(text(db, "name").primary_key()).col(hash("value")).take()
}

fn outbox(db: DatabaseBackend) -> TableCreateStatement {
    table("outbox")
        .col(id("id").primary_key())
        .col(small("kind"))
        .col(text(db, "recipient"))
        .col(maybe_id("workspace_id"))
        .col(maybe_id("invitation_id"))
        .col(maybe_id("user_id"))
        .col(integer("issue"))
        .col(moment("created_at"))
        .col(moment("next_attempt_at"))
        .col(integer("attempt_count"))
        .col(maybe_id("lease_id"))
        .col(maybe_moment("leased_until"))
        .col(maybe_moment("settled_at"))
        .foreign_key(&mut references("invitation_id", "invitation"))
        .foreign_key(&mut references("user_id", "user_account"))
        .take()
}

fn audit_event(db: DatabaseBackend) -> TableCreateStatement {
    table("audit_event")
        .col(id("id").primary_key())
        .col(id("workspace_id"))
        .col(small("action"))
        .col(small("actor_kind"))
        .col(maybe_id("actor_user_id"))
        .col(maybe_text(db, "actor_name"))
        .col(maybe_id("target_user_id"))
        .col(maybe_id("target_invitation_id"))
        .col(moment("occurred_at"))
        .col(text(db, "client_address"))
        .col(text(db, "details"))
        .col(integer("repeat_count"))
        .foreign_key(&mut references("workspace_id", "workspace"))
        .take()
}

fn service_key(db: DatabaseBackend) -> TableCreateStatement {
    table("service_key")
        .col(id("id").primary_key())
        // Unique for ever: a name is never used again.
        .col(text(db, "name").unique_key())
        .col(hash("key_hash").unique_key())
        .col(integer("scopes"))
        .col(maybe_id("workspace_id"))
        .col(moment("created_at"))
        .col(maybe_moment("expires_at"))
        .col(maybe_moment("revoked_at"))
        .col(maybe_moment("last_used_at"))
        .foreign_key(&mut references("workspace_id", "workspace"))
        .take()
}

fn request_record(db: DatabaseBackend) -> TableCreateStatement {
    table("request_record")
        .col(id("owner_id"))
        .col(text(db, "method"))
        .col(id("request_id"))
        .col(hash("fingerprint"))
        .col(id("resource_id"))
        .col(moment("created_at"))
        .primary_key(Index::create().col("owner_id").col("method").col("request_id"))
        .take()
}

fn index(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).take();
    for column in columns {
        index.col(*column);
    }
    index
}

fn indexes(db: DatabaseBackend) -> Vec<IndexCreateStatement> {
    // On SQLite each ended session would be looked up on a page of its own for when it was used. On PostgreSQL a change of what
    // any index holds is told to all of them, even where the row is in none of that index, and when a session was used that
    // has not ended changes often.
    let ended: &[&str] = match db {
        DatabaseBackend::Sqlite => &["workspace_id", "user_id", "ended_at", "last_used_at"],
        _ => &["workspace_id", "user_id", "ended_at"],
    };
    let open = || Expr::col("accepted_at").is_null().and(Expr::col("canceled_at").is_null());
    vec![
        // `bootstrap --if-absent` looks a workspace up by name.
        index("workspace_by_name", "workspace", &["name", "created_at"]),
        index("membership_by_email", "membership", &["workspace_id", "email", "user_id"]),
        index("membership_by_user", "membership", &["user_id", "joined_at", "workspace_id"]),
        index("session_live_by_user", "session", &["user_id", "created_at", "id"])
            .cond_where(Expr::col("role").is_not_null())
            .take(),
        index("session_by_sign_in", "session", &["sign_in_id"]),
        // Where the roles of sessions follow from those of memberships, and the last use of a membership from its sessions.
        index("session_by_membership", "session", &["workspace_id", "user_id", "role"])
            .cond_where(Expr::col("role").is_not_null())
            .take(),
        index("session_ended_by_membership", "session", ended).cond_where(Expr::col("ended_at").is_not_null()).take(),
        // What has no end is left out of the indexes of ends, or SQLite looks for what is live in them.
        index("session_by_end", "session", &["ended_at"]).cond_where(Expr::col("ended_at").is_not_null()).take(),
        index("session_by_expiry", "session", &["expires_at"]),
        // One open invitation for an address: 64 at once cannot make two.
        index("invitation_open", "invitation", &["workspace_id", "email"]).unique().cond_where(open()).take(),
        index("invitation_by_time", "invitation", &["workspace_id", "created_at", "id"]),
        index("invitation_open_by_sender", "invitation", &["workspace_id", "invited_by", "created_at", "id"])
            .cond_where(open())
            .take(),
        index("invitation_token_by_invitation", "invitation_token", &["invitation_id"]),
        index("invitation_token_by_time", "invitation_token", &["created_at"]),
        index("outbox_due", "outbox", &["next_attempt_at"]).cond_where(Expr::col("settled_at").is_null()).take(),
        index("outbox_by_invitation", "outbox", &["invitation_id", "created_at"]),
        index("outbox_by_recipient", "outbox", &["recipient", "created_at"]),
        index("password_reset_by_user", "password_reset", &["user_id"]),
        index("known_device_by_user", "known_device", &["user_id", "expires_at", "token_hash"]),
        index("known_device_by_expiry", "known_device", &["expires_at"]),
        index("throttle_by_expiry", "throttle", &["expires_at"]),
        index("password_reset_by_expiry", "password_reset", &["expires_at"]),
        index("outbox_by_settlement", "outbox", &["settled_at"])
            .cond_where(Expr::col("settled_at").is_not_null())
            .take(),
        index("audit_by_time", "audit_event", &["workspace_id", "occurred_at", "id"]),
        // Events without a user are left out of these two: nobody asks for them, and SQLite prefers them to the one by time.
        index("audit_by_actor", "audit_event", &["workspace_id", "actor_user_id", "occurred_at", "id"])
            .cond_where(Expr::col("actor_user_id").is_not_null())
            .take(),
        index("audit_by_target", "audit_event", &["workspace_id", "target_user_id", "occurred_at", "id"])
            .cond_where(Expr::col("target_user_id").is_not_null())
            .take(),
        index("audit_by_age", "audit_event", &["occurred_at"]),
        index("request_record_by_age", "request_record", &["created_at"]),
    ]
}
