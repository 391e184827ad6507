//! The machine that is measured on.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::Result;

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Cores, processor, memory, kernel and the file system that the database is on.
pub fn description(folder: &Path) -> Result<String> {
    let field = |file: &str, name: &str| -> Result<String> {
        let text = std::fs::read_to_string(file)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix(':'));
        Ok(value.unwrap_or("unknown").trim().to_owned())
    };
    let memory: f64 = field("/proc/meminfo", "MemTotal")?.trim_end_matches(" kB").parse()?;
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let disk = Command::new("stat").args(["-f", "-c", "%T"]).arg(folder).output()?.stdout;
    Ok(format!(
        "{} cores of {}, {:.0} GiB of memory, Linux {}, {}",
        cores(),
        field("/proc/cpuinfo", "model name")?,
        memory / 1024.0 / 1024.0,
        kernel.trim(),
        String::from_utf8_lossy(&disk).trim(),
    ))
}

/// What a commit costs on this disk at the least.
pub fn durable_appends_per_second(folder: &Path, count: usize) -> Result<f64> {
    let path = folder.join("appends");
    let mut file = File::create(&path)?;
    let start = Instant::now();
    for _ in 0..count {
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}
