//! What an attacker can measure, and what an attack costs everybody else: the release program looked at from outside.
//!
//! `cargo bench --bench security` does both parts; `-- timing [SAMPLES]` or `-- load [SECONDS]` does one. Linux only.
//! Bounded in count and time, and nothing leaves 127.0.0.1.

#[path = "../../tests/suite/support/dice.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod dice;
#[path = "../../tests/suite/transport/frames.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the attackers of the tests, which fail by panicking")]
mod frames;
#[path = "../src/machine.rs"]
#[allow(dead_code, reason = "the figures use the rest")]
mod machine;
#[path = "../src/program.rs"]
#[allow(dead_code, reason = "the figures use the rest")]
mod program;

mod attacks;
mod bare;
mod load;
mod office;
mod statistics;
mod timing;

use std::time::Duration;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Calls timed of each kind.
const SAMPLES: usize = 5_000;
/// How long each attack goes on.
const SECONDS: u64 = 10;

fn main() -> Result<()> {
    // cargo passes `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = tempfile::Builder::new().prefix("security-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    match words[..] {
        // How this program calls itself: an attacker, and somebody else to attack.
        ["attack", name, address, seconds] => {
            let attack = attacks::Attack::named(name).ok_or("no such attack")?;
            return runtime.block_on(attack.run(address.parse()?, Duration::from_secs(seconds.parse()?)));
        }
        ["listen"] => return runtime.block_on(bare::listen()),
        ["timing"] => runtime.block_on(timing::measure(folder.path(), SAMPLES)),
        ["timing", samples] => runtime.block_on(timing::measure(folder.path(), samples.parse()?)),
        ["load"] => runtime.block_on(load::measure(folder.path(), SECONDS)),
        ["load", seconds] => runtime.block_on(load::measure(folder.path(), seconds.parse()?)),
        [] => runtime.block_on(async {
            timing::measure(folder.path(), SAMPLES).await?;
            load::measure(folder.path(), SECONDS).await
        }),
        _ => Err("timing [SAMPLES] | load [SECONDS]".into()),
    }?;
    println!("\n{}", machine::description(folder.path())?);
    Ok(())
}
