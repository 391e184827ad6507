//! What processes take of the machine, as the kernel counts it.

use std::path::Path;
use std::time::Duration;

use crate::Result;

/// The kernel counts in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of a process so far, that of its ended children included.
pub fn cpu(id: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u32 =
        fields.get(11..15).ok_or("a short stat")?.iter().filter_map(|field| field.parse::<u32>().ok()).sum();
    Ok(TICK * ticks)
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
