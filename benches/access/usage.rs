//! What processes take of the machine, as the kernel counts it.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use crate::Result;

/// The kernel counts in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of a process so far, that of its ended children included.
pub fn cpu(id: u32) -> Result<Duration> {
    ticks(&std::fs::read_to_string(format!("/proc/{id}/stat"))?, 11..15)
}

/// What the machine's host does not let it have of its cores, since a moment: the kernel's steal, whatever it is for.
pub struct Host {
    taken: u64,
    all: u64,
}

impl Host {
    pub fn now() -> Result<Self> {
        let stat = std::fs::read_to_string("/proc/stat")?;
        // Of all cores: user, nice, system, idle, iowait, irq, softirq, steal. What follows is in the first two already.
        let line = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).ok_or("no cpu in /proc/stat")?;
        let ticks = line.split_whitespace().take(8).map(str::parse).collect::<std::result::Result<Vec<u64>, _>>()?;
        Ok(Self { taken: *ticks.get(7).ok_or("a kernel that does not know of hosts")?, all: ticks.iter().sum() })
    }

    /// Percent of the time of all cores that this machine wanted since then, and did not have.
    pub fn took(&self) -> Result<f64> {
        let now = Self::now()?;
        Ok(100.0 * now.taken.saturating_sub(self.taken) as f64 / now.all.saturating_sub(self.all).max(1) as f64)
    }
}

/// Pages that a process found in memory, and not yet in its tables, so far.
pub fn page_faults(id: u32) -> Result<u64> {
    sum(&std::fs::read_to_string(format!("/proc/{id}/stat"))?, 7..8)
}

fn ticks(stat: &str, which: Range<usize>) -> Result<Duration> {
    Ok(TICK * u32::try_from(sum(stat, which)?)?)
}

/// The sum of some fields of what the kernel says of a process or thread, counted from behind its name.
fn sum(stat: &str, which: Range<usize>) -> Result<u64> {
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    Ok(fields.get(which).ok_or("a short stat")?.iter().filter_map(|field| field.parse::<u64>().ok()).sum())
}

/// Processor time so far of those threads of a process that have this name.
///
/// # Errors
/// If none has.
pub fn cpu_of_threads(id: u32, name: &str) -> Result<Duration> {
    let mut all = None;
    for thread in std::fs::read_dir(format!("/proc/{id}/task"))? {
        // What has ended meanwhile is none.
        if let Ok(stat) = std::fs::read_to_string(thread?.path().join("stat"))
            && stat.split_once('(').is_some_and(|(_, rest)| rest.starts_with(&format!("{name})")))
        {
            *all.get_or_insert(Duration::ZERO) += ticks(&stat, 11..13)?;
        }
    }
    all.ok_or_else(|| format!("no thread is called {name}").into())
}

/// Processor time of everything that runs in a folder.
pub fn cpu_in(folder: &Path) -> Duration {
    all_in(folder).into_iter().filter_map(|id| cpu(id).ok()).sum()
}

/// Memory of a process that is shared with nobody, in MiB.
pub fn resident_mib(id: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

fn all_in(folder: &Path) -> Vec<u32> {
    let of = |entry: std::fs::DirEntry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        (std::fs::read_link(entry.path().join("cwd")).ok()? == folder).then_some(id)
    };
    std::fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| of(entry.ok()?)).collect()
}
