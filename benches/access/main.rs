//! Measures access checks beside an empty service, on both databases, and writes the table of docs/performance.md.
//!
//! `cargo bench --bench access` does all of it; `-- checks`, `-- storm`, `-- people` and `-- scale` do one part each and
//! write nothing. `ACCESS_IN_FLIGHT` names those numbers of calls in flight that are wanted of the checks. The load
//! generator, the empty service and what fills SQLite's file are this program again, as processes of their own. PostgreSQL
//! is started from the programs that its packages install. Bounded in count and time.

mod bare;
mod checks;
mod echo;
mod load;
mod people;
#[path = "../postgres.rs"]
mod postgres;
mod report;
mod rounds;
mod scale;
mod seed;
mod server;
mod storm;
mod usage;

use std::path::{Path, PathBuf};
use std::process::Command;

use load::Order;
use postgres::cluster::Cluster;
use report::Report;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Sessions of everything but the scale.
const SESSIONS: u64 = 1_000_000;
/// For which PostgreSQL is given a GiB of memory.
const SESSIONS_PER_GIB: u64 = 1_250_000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match arguments.split_first() {
        Some((first, rest)) if first == "echo" => runtime.block_on(echo::serve(rest)),
        Some((first, rest)) if first == "load" => runtime.block_on(Order::from_arguments(rest)?.run()),
        Some((first, [path, count])) if first == "plant" => {
            runtime.block_on(seed::plant_sqlite(Path::new(path), count.parse()?))
        }
        _ => runtime.block_on(measure(&arguments)),
    }
}

async fn measure(parts: &[String]) -> Result<()> {
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    let mut report = Report::default();
    if wanted("checks") || wanted("storm") || wanted("people") {
        let sessions = std::env::var("ACCESS_SESSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(SESSIONS);
        for place in [Place::sqlite(sessions).await?, Place::postgres(sessions).await?] {
            if wanted("checks") {
                checks::measure(&mut report, &place).await?;
            }
            if wanted("people") {
                people::measure(&mut report, &place).await?;
            }
            if wanted("storm") {
                storm::measure(&mut report, &place).await?;
            }
        }
    }
    if wanted("scale") {
        scale::measure(&mut report).await?;
    }
    println!("{report}");
    if parts.is_empty() { report.keep() } else { Ok(()) }
}

/// A database with sessions in it.
pub struct Place {
    pub database: &'static str,
    pub url: String,
    pub folder: tempfile::TempDir,
    pub sessions: u64,
    /// A service key that may check.
    pub key: String,
    pub cluster: Option<Cluster>,
}

impl Place {
    pub async fn sqlite(sessions: u64) -> Result<Self> {
        let folder = folder()?;
        let path = folder.path().join("rolecall.db");
        let url = format!("sqlite://{}", path.display());
        let key = Self::migrate(&url)?;
        // A process of its own gives back the memory that this takes.
        let mut planting = Command::new(std::env::current_exe()?);
        planting.arg("plant").arg(&path).arg(sessions.to_string());
        let done = tokio::task::spawn_blocking(move || planting.status()).await??;
        if !done.success() {
            return Err("the database was not filled".into());
        }
        Ok(Self { database: "SQLite", url, folder, sessions, key, cluster: None })
    }

    /// On a server that writes as durably as a server does, and has memory for its tables.
    pub async fn postgres(sessions: u64) -> Result<Self> {
        let buffers = format!("{}GB", sessions.div_ceil(SESSIONS_PER_GIB).max(1));
        let cluster = Cluster::start(&[("shared_buffers", &buffers), ("max_wal_size", "8GB")]);
        cluster.create_database("rolecall");
        let url = cluster.url("rolecall");
        let key = Self::migrate(&url)?;
        seed::plant_postgres(&cluster.superuser_url("rolecall"), sessions).await?;
        Ok(Self { database: "PostgreSQL", url, folder: folder()?, sessions, key, cluster: Some(cluster) })
    }

    fn migrate(url: &str) -> Result<String> {
        server::run(url, &["migrate"])?;
        server::run(url, &["service-key", "create", "bench", "--scope", "check-access"])
    }

    pub fn mail(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// Where the server of the database runs.
    pub fn data(&self) -> Option<PathBuf> {
        self.cluster.as_ref().map(Cluster::data)
    }
}

fn folder() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("access-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}
