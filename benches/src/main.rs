//! Measures the release program from outside, as its callers see it, and prints one Markdown table.
//!
//! Bounded in count and time. Every figure is the median of several runs, beside the smallest and the largest.

mod clients;
mod machine;
#[allow(dead_code, reason = "the benchmark of attacks uses the rest")]
mod program;
mod rates;
mod table;

use std::path::Path;
use std::time::Duration;

use program::Program;
use table::{Row, Table};

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const STARTS: usize = 21;
const ROUNDS: usize = 5;
/// Links accepted in a round, and calls in flight meanwhile: enough that a hash always waits for a free core.
const LINKS: usize = 120;
const ACCEPTS_IN_FLIGHT: usize = 8;
const RAW_HASHING: Duration = Duration::from_millis(1500);
const WRITERS: usize = 16;
const CHANGES_ALONE: usize = 150;
const CHANGES_EACH: usize = 30;
const CHECKS_IN_FLIGHT: usize = 32;
const CHECKING: Duration = Duration::from_millis(1500);
const SYNCS: usize = 200;
/// Long enough for what a start leaves behind to be given back.
const SETTLING: Duration = Duration::from_secs(2);
/// Threads that hashed end after 10 s without work.
const COOLING: Duration = Duration::from_secs(12);

fn main() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("figures-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut table = Table::default();
    eprintln!("measuring on {}", machine::description(folder.path())?);
    table.push(Row::new("size of the stripped binary", "MiB", vec![program::size_in_mib()?]).aim("< 25"));
    starts(&mut table, folder.path())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(under_load(&mut table, folder.path()))?;
    println!("{}\n\n{table}", machine::description(folder.path())?);
    Ok(())
}

/// From starting the process to its line `listening on …`.
fn starts(table: &mut Table, folder: &Path) -> Result<()> {
    let mut first = Vec::new();
    for run in 0..STARTS {
        let program = Program::start(&folder.join(format!("first-{run}")))?;
        first.push(program.start_time.as_secs_f64() * 1e3);
        program.stop()?;
    }
    let (mut again, mut idle) = (Vec::new(), Vec::new());
    for run in 0..STARTS {
        let program = Program::start(&folder.join("first-0"))?;
        again.push(program.start_time.as_secs_f64() * 1e3);
        if run < ROUNDS {
            std::thread::sleep(SETTLING);
            idle.push(program.resident_mib()?);
        }
        program.stop()?;
    }
    table.push(Row::new("cold start to `listening`", "ms", again).aim("< 100"));
    table.push(Row::new("cold start on no database yet, schema included", "ms", first));
    table.push(Row::new("resident memory, idle after the start", "MiB", idle).aim("< 30"));
    Ok(())
}

async fn under_load(table: &mut Table, folder: &Path) -> Result<()> {
    let program = Program::start(&folder.join("load"))?;
    accepts(table, &program).await?;
    let office = clients::Office::open(&program, WRITERS).await?;

    let (mut syncs, mut alone, mut together) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        syncs.push(machine::durable_appends_per_second(folder, SYNCS)?);
        alone.push(rates::role_changes(&office, 1, CHANGES_ALONE).await?);
        together.push(rates::role_changes(&office, WRITERS, CHANGES_EACH).await?);
    }
    table.push(Row::new("durable 4 KiB appends of the disk (fdatasync)", "per second", syncs));
    table.push(Row::new("ChangeUserRole, 1 client", "per second", alone));
    table.push(Row::new(&format!("ChangeUserRole, {WRITERS} clients"), "per second", together));

    let (mut one, mut many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        one.push(rates::checks(&office, 1, CHECKING).await?);
        many.push(rates::checks(&office, CHECKS_IN_FLIGHT, CHECKING).await?);
    }
    table.push(Row::new("CheckAccess, one after the other", "per second", one));
    table.push(Row::new(&format!("CheckAccess, {CHECKS_IN_FLIGHT} in flight"), "per second", many));

    tokio::time::sleep(COOLING).await;
    table.push(Row::new("resident memory, idle after all of this load", "MiB", vec![program.resident_mib()?]));
    drop(office);
    program.stop()
}

/// Accepting beside the bare hash, in turn, with as many threads as the program hashes on.
async fn accepts(table: &mut Table, program: &Program) -> Result<()> {
    let mut links = Vec::new();
    for number in 0..LINKS * ROUNDS {
        links.push(program.bootstrap(&format!("Workspace {number}"), &format!("owner{number}@acme.example"))?.1);
    }
    let (mut raw, mut accepted, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    for batch in links.chunks(LINKS) {
        let before = rates::raw_hashes(machine::cores(), RAW_HASHING)?;
        let rate = rates::accepts(program, batch, ACCEPTS_IN_FLIGHT).await?;
        let after = rates::raw_hashes(machine::cores(), RAW_HASHING)?;
        let around = f64::midpoint(before, after);
        raw.push(around);
        accepted.push(rate);
        ratio.push(rate / around);
    }
    table.push(Row::new(&format!("bare argon2id, {} threads", machine::cores()), "per second", raw));
    table.push(Row::new(&format!("AcceptInvitation, {ACCEPTS_IN_FLIGHT} in flight"), "per second", accepted));
    table.push(Row::new("AcceptInvitation / bare argon2id", "", ratio).aim("≥ 0.9"));
    Ok(())
}
