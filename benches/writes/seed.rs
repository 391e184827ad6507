//! Workspaces with people, put into the database at once: each has an Owner with a session, an Agent whose role changes,
//! and others who are removed one after the other. Ids are numbers, so that `pgbench` can name them too.

use std::sync::atomic::{AtomicUsize, Ordering};

use rolecall::crypto::TokenKind;
use secrecy::ExposeSecret;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, SqliteConnection, raw_sql};
use uuid::Uuid;

use crate::Result;

/// 2100-01-01: what was planted does not end meanwhile.
const FAR: i64 = 4_102_444_800_000_000;

pub struct Seed {
    /// The Owner's session token of each workspace.
    pub tokens: Vec<String>,
    /// How many of each workspace's people were removed.
    removed: Vec<AtomicUsize>,
}

/// People of one workspace have the numbers from here on.
pub fn people_of(workspace: usize) -> usize {
    (workspace + 1) * 1_000_000
}

/// The id with this number.
pub fn id(number: usize) -> Uuid {
    Uuid::from_u64_pair(0x7000, 0x8000_0000_0000_0000 | number as u64)
}

impl Seed {
    pub async fn plant(url: &str, workspaces: usize, removals: usize) -> Result<Self> {
        let now = now();
        let (mut sql, mut tokens, mut removed) = (Vec::new(), Vec::new(), Vec::new());
        let blob = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let postgres = url.starts_with("postgres");
        let uuid = |id: Uuid| if postgres { format!("'{id}'") } else { format!("x'{}'", id.simple()) };
        for workspace in 0..workspaces {
            let at = uuid(id(workspace + 1));
            sql.push(format!("INSERT INTO workspace VALUES ({at}, 'W{workspace}', 1, {now}, {now}, 1)"));
            let (mut users, mut members) = (Vec::new(), Vec::new());
            for number in 0..removals + 2 {
                let user = uuid(id(people_of(workspace) + number));
                let (email, role) = (format!("p{number}@w{workspace}.example"), if number == 0 { 4 } else { 1 });
                users.push(format!("({user}, '{email}', 'P', 'x', 1, {now}, 0)"));
                members.push(format!("({at}, {user}, {role}, '{email}', 'P', '{email}', {now}, NULL, NULL, NULL)"));
            }
            sql.push(format!("INSERT INTO user_account VALUES {}", users.join(", ")));
            sql.push(format!("INSERT INTO membership VALUES {}", members.join(", ")));
            let (token, owner) = (TokenKind::Session.mint(), uuid(id(people_of(workspace))));
            let (key, hash) = (token.hash.key().number(), blob(&token.hash.to_vec()));
            let hash = if postgres { format!("'\\x{hash}'") } else { format!("x'{hash}'") };
            let session = uuid(id(900 + workspace));
            sql.push(format!(
                "INSERT INTO session VALUES ({key}, {session}, {hash}, {session}, {owner}, {at}, {now}, {now}, {FAR}, {now}, 4, NULL, false, '', '')"
            ));
            tokens.push(token.text.expose_secret().to_owned());
            removed.push(AtomicUsize::new(2));
        }
        let sql = AssertSqlSafe(sql.join(";\n"));
        if postgres {
            let mut connection: PgConnection = url.parse::<sqlx::postgres::PgConnectOptions>()?.connect().await?;
            raw_sql(sql).execute(&mut connection).await?;
            raw_sql("ANALYZE").execute(&mut connection).await?;
        } else {
            let mut connection: SqliteConnection = url.parse::<sqlx::sqlite::SqliteConnectOptions>()?.connect().await?;
            raw_sql(sql).execute(&mut connection).await?;
        }
        Ok(Self { tokens, removed })
    }

    /// Takes people of a workspace who are still there. Answers the number of the first.
    pub fn take(&self, workspace: usize, count: usize) -> usize {
        let first = self.removed.get(workspace).map_or(0, |removed| removed.fetch_add(count, Ordering::SeqCst));
        people_of(workspace) + first
    }
}

fn now() -> i64 {
    rolecall::clock::Clock::system().now().as_micros()
}
