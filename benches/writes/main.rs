//! Measures changes: how many a second, how long each takes, on both databases; and on PostgreSQL beside `pgbench`, which
//! does the bare statements of the same transactions, in turn. Bounded in count and time; prints one Markdown table.
//!
//! `cargo bench --bench writes`. PostgreSQL is started from the programs that its packages install.

mod bare;
mod changes;
#[path = "../postgres.rs"]
mod postgres;
mod seed;
mod server;

use std::fmt::Write;

use changes::{Change, Rate};
use postgres::cluster::Cluster;
use seed::Seed;
use server::Server;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Clients that each change a workspace of their own.
const CLIENTS: [usize; 2] = [1, 16];
const ROUNDS: usize = 5;
/// Changes of one client in one round.
const CHANGES: usize = 100;

fn main() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("writes-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut lines = String::new();
    let url = format!("sqlite://{}", folder.path().join("rolecall.db").display());
    runtime.block_on(measure(&mut lines, "SQLite", &url, folder.path(), None))?;
    // Durable, as a server is.
    let cluster = Cluster::start(&[]);
    cluster.create_database("rolecall");
    let url = cluster.url("rolecall");
    runtime.block_on(measure(&mut lines, "PostgreSQL", &url, folder.path(), Some(&url)))?;
    println!("| database | change | clients | per second | p50 ms | p99 ms | bare statements per second | ratio |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|\n{lines}");
    Ok(())
}

async fn measure(
    lines: &mut String,
    database: &str,
    url: &str,
    folder: &std::path::Path,
    pgbench: Option<&str>,
) -> Result<()> {
    let server = Server::start(url, &folder.join("mail"))?;
    let most = CLIENTS.into_iter().max().unwrap_or(1);
    let removals = Change::ALL.len() * CLIENTS.len() * ROUNDS * CHANGES * if pgbench.is_some() { 2 } else { 1 };
    let seed = Seed::plant(url, most, removals).await?;
    for change in Change::ALL {
        for clients in CLIENTS {
            let (mut rates, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let rate = changes::run(&server.address, &seed, change, clients, CHANGES).await?;
                if let Some(url) = pgbench {
                    let per_second = bare::run(url, folder, change, clients, CHANGES, &seed)?;
                    ratios.push(rate.per_second / per_second);
                    bare.push(per_second);
                }
                rates.push(rate);
            }
            let of = |value: fn(&Rate) -> f64| median(rates.iter().map(value).collect());
            write!(lines, "| {database} | {} | {clients} | {:.0} ", change.name(), of(|rate| rate.per_second))?;
            write!(lines, "| {:.2} | {:.2} ", of(|rate| rate.p50), of(|rate| rate.p99))?;
            match pgbench {
                Some(_) => writeln!(lines, "| {:.0} | {:.2} |", median(bare), median(ratios))?,
                None => writeln!(lines, "| | |")?,
            }
            eprint!("{}", lines.lines().last().map(|line| format!("{line}\n")).unwrap_or_default());
        }
    }
    server.stop()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
