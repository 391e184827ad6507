//! A database with as many sessions as are wanted, put there by bulk SQL.
//!
//! Everything has a number. The token of session n is made of n, so that the load generator knows every token without
//! keeping any.

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rolecall::config::SecurityConfig;
use rolecall::crypto::TokenHash;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::{Place, Result};

pub const WORKSPACES: u64 = 100_000;
/// People in one workspace more, the one with the number [`WORKSPACES`].
pub const CROWD: u64 = 100_000;
pub const PASSWORD: &str = "violet kettle orbit 77 lamp";
const HASHES_AT_ONCE: u64 = 2_000;
const HOUR: i64 = 60 * 60 * 1_000_000;
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// The token of the session with this number.
pub fn token(number: u64) -> String {
    format!("rcs_{}", URL_SAFE_NO_PAD.encode(secret(number)))
}

/// The session of an Admin of the crowd.
pub fn admin(sessions: u64) -> u64 {
    sessions
}

/// Whether the use of a session is recorded when it is asked about. Every second one was used an hour from now, as far as
/// the database knows, so that checks can be measured without that work too.
fn is_due(number: u64) -> bool {
    number.is_multiple_of(2)
}

/// The session with this number, or its neighbour, as is wanted.
pub fn near(number: u64, due: bool) -> u64 {
    if is_due(number) == due { number } else { number ^ 1 }
}

fn secret(number: u64) -> [u8; 32] {
    let mut secret = [0; 32];
    secret[24..].copy_from_slice(&number.to_be_bytes());
    secret
}

pub fn hash(number: u64) -> TokenHash {
    let mut hash = Sha256::new();
    hash.update("rcs_");
    hash.update(secret(number));
    TokenHash::from_bytes(hash.finalize().into())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// A UUID made of a kind of thing and its number.
    fn id(self, kind: u32, number: &str) -> String {
        match self {
            Kind::Sqlite => format!("unhex(printf('%08x%024x', {kind}, {number}))"),
            Kind::Postgres => format!("('{kind:08x}' || lpad(to_hex({number}), 24, '0'))::uuid"),
        }
    }

    /// The numbers from one to below another, as `n`.
    fn numbers(self, from: u64, to: u64) -> String {
        match self {
            Kind::Sqlite => format!(
                "(WITH RECURSIVE c(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM c WHERE n + 1 < {to}) SELECT n FROM c) AS x"
            ),
            Kind::Postgres => format!("generate_series({from}::bigint, {}) AS x(n)", to - 1),
        }
    }
}

/// How many users there are for so many sessions, the crowd left out.
pub fn users(sessions: u64) -> u64 {
    WORKSPACES.max(sessions / 4)
}

/// A hash of [`PASSWORD`] as the service makes it by default.
pub fn password_hash() -> Result<String> {
    let costs = SecurityConfig::default();
    let params = Params::new(costs.password_hash_memory, costs.password_hash_iterations, 1, None);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(|e| e.to_string())?);
    let hash: PasswordHash = argon2.hash_password(PASSWORD.as_bytes()).map_err(|e| e.to_string())?;
    Ok(hash.to_string())
}

/// Everything but the sessions.
fn people(kind: Kind, sessions: u64, now: i64) -> Result<Vec<String>> {
    let (users, hash) = (users(sessions), password_hash()?);
    let (id, workspace) = (kind.id(2, "n"), kind.id(1, "n"));
    let all = kind.numbers(0, users + CROWD);
    let email = "'user' || n || '@acme.example'";
    let place = format!("CASE WHEN n < {users} THEN n % {WORKSPACES} ELSE {WORKSPACES} END");
    let of = kind.id(1, &place);
    Ok(vec![
        format!(
            "INSERT INTO workspace (id, name, revision, created_at, founded_at, owner_count)
             SELECT {workspace}, 'Workspace ' || n, 1, {now}, NULL, 0 FROM {}",
            kind.numbers(0, WORKSPACES + 1)
        ),
        format!(
            "INSERT INTO user_account (id, email, display_name, password_hash, revision, created_at, reset_issue)
             SELECT {id}, {email}, 'User ' || n, '{hash}', 1, {now}, 0 FROM {all}"
        ),
        format!(
            "INSERT INTO membership (workspace_id, user_id, role, email, display_name, search_text, joined_at, last_seen_at)
             SELECT {of}, {id}, CASE WHEN n = {users} THEN 3 ELSE 1 END, {email}, 'User ' || n,
                    'user ' || n || ' ' || {email}, {now}, {now} FROM {all}"
        ),
    ])
}

/// Sessions out of `numbers`, whose columns `k` and `h` are the key and the hash of the token.
fn sessions(kind: Kind, sessions: u64, now: i64, numbers: &str) -> String {
    let users = users(sessions);
    let user = format!("CASE WHEN n < {sessions} THEN n % {users} ELSE {users} END");
    let workspace = format!("CASE WHEN n < {sessions} THEN n % {users} % {WORKSPACES} ELSE {WORKSPACES} END");
    let used = format!("{now} + n % 2 * {HOUR}");
    let role = format!("CASE WHEN n < {sessions} THEN 1 ELSE 3 END");
    format!(
        "INSERT INTO session (token_key, id, token_hash, sign_in_id, user_id, workspace_id, created_at, last_used_at, expires_at,
             authenticated_at, role, ended_at, signed_out, user_agent, client_address)
         SELECT k, {}, h, {}, {}, {}, {now}, {used}, {}, {now}, {role}, NULL, FALSE, 'bench', '127.0.0.1' FROM {numbers}",
        kind.id(3, "n"),
        kind.id(4, "n"),
        kind.id(2, &user),
        kind.id(1, &workspace),
        now + 14 * DAY,
    )
}

/// Sessions of those whom a list of `page` of the crowd begins and ends with. They sign in every day, and never out: each has
/// one session that stands and those of the week before, which ended when the next began.
pub async fn plant_sessions_of_crowd(place: &Place, page: u64) -> Result<()> {
    match &place.cluster {
        Some(cluster) => {
            let mut connection = PgConnection::connect(&cluster.superuser_url("rolecall")).await?;
            let sql = sessions_of_crowd(Kind::Postgres, now(), page);
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
            sqlx::raw_sql("VACUUM ANALYZE session").execute(&mut connection).await?;
            Ok(connection.close().await?)
        }
        None => {
            let mut connection = SqliteConnection::connect(&place.url).await?;
            let sql = sessions_of_crowd(Kind::Sqlite, now(), page);
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
            Ok(connection.close().await?)
        }
    }
}

fn sessions_of_crowd(kind: Kind, now: i64, page: u64) -> String {
    let (key, id, hash) = match kind {
        Kind::Sqlite => ("random()", "randomblob(16)", "randomblob(32)"),
        Kind::Postgres => (
            "('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint",
            "gen_random_uuid()",
            "sha256(gen_random_uuid()::text::bytea)",
        ),
    };
    let crowd = kind.id(1, &WORKSPACES.to_string());
    let some = |order: &str| {
        format!(
            "SELECT * FROM (SELECT user_id, workspace_id, role FROM membership WHERE workspace_id = {crowd}
             ORDER BY email {order} LIMIT {page}) AS {order}ending"
        )
    };
    format!(
        "INSERT INTO session (token_key, id, token_hash, sign_in_id, user_id, workspace_id, created_at, last_used_at, expires_at,
             authenticated_at, role, ended_at, signed_out, user_agent, client_address)
         SELECT {key}, {id}, {hash}, {id}, m.user_id, m.workspace_id, {now} - n * {DAY}, {now} - n * {DAY}, {} - n * {DAY},
             {now} - n * {DAY}, CASE WHEN n = 0 THEN m.role END, CASE WHEN n > 0 THEN {now} - (n - 1) * {DAY} END,
             FALSE, 'bench', '127.0.0.1'
         FROM ({} UNION ALL {}) AS m CROSS JOIN {}",
        now + 14 * DAY,
        some("asc"),
        some("desc"),
        kind.numbers(0, 8),
    )
}

fn now() -> i64 {
    rolecall::clock::Clock::system().now().as_micros()
}

pub async fn plant_postgres(url: &str, count: u64) -> Result<()> {
    let (kind, now) = (Kind::Postgres, now());
    let mut connection = PgConnection::connect(url).await?;
    let mut statements = vec!["SET session_replication_role = replica".to_owned(), "SET work_mem = '256MB'".to_owned()];
    statements.extend(people(kind, count, now)?);
    let numbers = format!(
        "(SELECT n, h, ('x' || encode(substr(h, 1, 8), 'hex'))::bit(64)::bigint AS k
          FROM (SELECT n, sha256('rcs_'::bytea || decode(lpad(to_hex(n), 64, '0'), 'hex')) AS h FROM {}) AS y) AS z",
        kind.numbers(0, count + 1)
    );
    statements.push(sessions(kind, count, now, &numbers));
    statements.extend(["VACUUM ANALYZE", "CHECKPOINT", "CREATE EXTENSION pg_prewarm"].map(str::to_owned));
    // As after some time of use: what checks look at is in memory.
    let relations = "SELECT indexrelid FROM pg_index WHERE indrelid = ANY(tables) UNION ALL SELECT unnest(tables)";
    statements.push(format!(
        "SELECT pg_prewarm(relation) FROM (VALUES (ARRAY['membership', 'session']::regclass[])) AS these(tables),
             LATERAL ({relations}) AS them(relation)"
    ));
    for sql in statements {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

pub async fn plant_sqlite(path: &std::path::Path, count: u64) -> Result<()> {
    let (kind, now) = (Kind::Sqlite, now());
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await?;
    // Sessions come in no order of the table, so all of it has to be at hand.
    let kibibytes = 1_000_000 + count / 2;
    for pragma in
        ["synchronous = OFF".to_owned(), "foreign_keys = OFF".to_owned(), format!("cache_size = -{kibibytes}")]
    {
        sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA {pragma}"))).execute(&mut connection).await?;
    }
    sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
    for sql in people(kind, count, now)? {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    }
    let mut first = 0;
    while first <= count {
        let end = (first + HASHES_AT_ONCE).min(count + 1);
        let list = vec!["(?, ?, ?)"; usize::try_from(end - first)?].join(", ");
        let numbers = format!("(SELECT column1 AS n, column2 AS k, column3 AS h FROM (VALUES {list})) AS y");
        let sql = sessions(kind, count, now, &numbers);
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for number in first..end {
            let hash = hash(number);
            insert = insert.bind(i64::try_from(number)?).bind(hash.key().number()).bind(hash.to_vec());
        }
        insert.execute(&mut connection).await?;
        first = end;
    }
    for sql in ["COMMIT", "PRAGMA wal_checkpoint(TRUNCATE)"] {
        sqlx::raw_sql(sql).execute(&mut connection).await?;
    }
    connection.close().await?;
    // Or else gigabytes are on their way to the disk while checks are measured. As after some time of use, what checks look
    // at is in memory.
    let mut file = std::fs::File::open(path)?;
    file.sync_all()?;
    std::io::copy(&mut file, &mut std::io::sink())?;
    Ok(())
}
