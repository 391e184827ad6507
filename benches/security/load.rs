//! How long a good client's checks take while somebody attacks.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rolecall::grpc::pb::v1;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tonic::metadata::AsciiMetadataValue;
use v1::access_service_client::AccessServiceClient;
use v1::check_access_request::{Requirement, Subject};

use crate::Result;
use crate::attacks::Attack;
use crate::bare::Bare;
use crate::office::{bearer, connect, found, with};
use crate::program::Program;
use crate::statistics::Sample;

/// Files that are left to the program when they are to run out.
const LAST_FILES: u64 = 5;
/// Until the attack has begun.
const RAMP: Duration = Duration::from_millis(500);
/// Between two checks of the good client.
const PACE: Duration = Duration::from_millis(1);

struct Client {
    access: AccessServiceClient<tonic::transport::Channel>,
    key: AsciiMetadataValue,
    session_token: String,
}

impl Client {
    async fn connect(program: &Program) -> Result<Self> {
        let session_token = found(program).await?;
        let key = bearer(program.run(&["service-key", "create", "gateway", "--scope", "check-access"])?.trim())?;
        Ok(Self { access: AccessServiceClient::new(connect(&program.address).await?), key, session_token })
    }

    /// Asks for a time, one question after the other. Answers how many milliseconds each took.
    async fn ask(&mut self, time: Duration) -> Result<Sample> {
        let (mut millis, begin) = (Vec::new(), Instant::now());
        while begin.elapsed() < time {
            let request = v1::CheckAccessRequest {
                subject: Some(Subject::SessionToken(self.session_token.clone())),
                requirement: Some(Requirement::Permission(v1::Permission::ConversationsReply.into())),
            };
            let start = Instant::now();
            if !self.access.check_access(with(&self.key, request)).await?.into_inner().allowed {
                return Err("denied".into());
            }
            millis.push(start.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(PACE).await;
        }
        Ok(Sample::new(millis))
    }
}

pub async fn measure(folder: &Path, seconds: u64) -> Result<()> {
    let time = Duration::from_secs(seconds);
    println!(
        "| checks during | p10 ms | p50 | p90 | p99 | mean | p99 / idle | peak memory MiB |\n|---|---:|---:|---:|---:|---:|---:|---:|"
    );
    for attack in Attack::ALL {
        under(attack, None, folder, time).await?;
        if attack == Attack::Crowd {
            under(attack, Some(&Bare::start()?), folder, time).await?;
        }
    }
    Ok(())
}

/// Prints how long checks take when nobody attacks, and while somebody does: the program, or another that is beside it.
async fn under(attack: Attack, beside: Option<&Bare>, folder: &Path, time: Duration) -> Result<()> {
    let name = format!("{}{}", attack.name(), if beside.is_some() { ", at a bare listener beside it" } else { "" });
    // A program of its own for each, or the peak would be that of all before.
    let program = Program::start(&folder.join(name.replace(' ', "-")))?;
    let mut client = Client::connect(&program).await?;
    client.ask(RAMP).await?;
    let idle = client.ask(time).await?;
    let files = if attack == Attack::NoFiles { Some(take_files(&program)?) } else { None };
    let victim = beside.map_or(&program.address, |bare| &bare.address);
    let mut attacker = Command::new("chrt")
        .args(["--idle", "0"])
        .arg(std::env::current_exe()?)
        .args(["attack", attack.name(), victim, &(time.as_secs() + 2).to_string()])
        .stderr(Stdio::null())
        .spawn()?;
    tokio::time::sleep(RAMP).await;
    let during = client.ask(time).await;
    let _ = attacker.kill();
    attacker.wait()?;
    if let Some(before) = files {
        prlimit(Some(pid(&program)?), Resource::Nofile, before)?;
    }
    let during = during?;
    println!("| nothing, before the next |{idle} | | |");
    println!("| {name} |{during} | {:.2} | {:.0} |", during.quantile(0.99) / idle.quantile(0.99), program.peak_mib()?);
    program.stop()
}

/// Lowers the program's limit of open files until hardly any is left. Answers what it was.
fn take_files(program: &Program) -> Result<Rlimit> {
    let open = std::fs::read_dir(format!("/proc/{}/fd", program.id()))?.count() as u64;
    let before = rustix::process::getrlimit(Resource::Nofile);
    let little = Rlimit { current: Some(open + LAST_FILES), maximum: before.maximum };
    Ok(prlimit(Some(pid(program)?), Resource::Nofile, little)?)
}

fn pid(program: &Program) -> Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(program.id())?).ok_or("no process")?)
}
