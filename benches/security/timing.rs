//! Whether the time that a call takes tells who has an account.
//!
//! Each address is used once, so no limit is met; known and unknown ones are of one shape and come in random order. The
//! connection is that of a trusted peer which names no client, or the limit of its network would end the measurement.

use std::path::Path;
use std::time::{Duration, Instant};

use rolecall::grpc::pb::v1;
use tonic::Code;
use tonic::transport::Channel;
use v1::password_service_client::PasswordServiceClient;
use v1::session_service_client::SessionServiceClient;

use crate::Result;
use crate::dice::Dice;
use crate::office::{connect, found, populate};
use crate::program::Program;
use crate::statistics::{Comparison, Sample};

const WARM_UP: usize = 100;
/// Between two resets, so that the work which one leaves behind is not in the time of the next.
const PAUSE: Duration = Duration::from_millis(4);

struct Address {
    text: String,
    known: bool,
}

struct Timed {
    known: bool,
    millis: f64,
    /// Whether the address of the call before it was known.
    after_known: bool,
}

pub async fn measure(folder: &Path, samples: usize) -> Result<()> {
    let program = Program::start_with(&folder.join("timing"), &["--trusted-peers", "127.0.0.0/8"])?;
    found(&program).await?;
    let mut dice = Dice::new(std::process::id().into());
    let mut addresses: Vec<Address> = (0..2 * (samples + WARM_UP))
        .map(|number| Address { text: format!("{:016x}@acme.example", dice.roll()), known: number % 2 == 0 })
        .collect();
    let known: Vec<String> = addresses.iter().filter(|it| it.known).map(|it| it.text.clone()).collect();
    populate(&folder.join("timing"), &known).await?;
    let channel = connect(&program.address).await?;

    println!("| call | address | p10 ms | p50 | p90 | p99 | mean |\n|---|---|---:|---:|---:|---:|---:|");
    let mut notes = Vec::new();
    dice.shuffle(&mut addresses);
    let mut timed = Vec::new();
    for address in &addresses {
        timed.push(sign_in(channel.clone(), address, &timed).await?);
    }
    notes.extend(report("SignIn, wrong password", &timed[2 * WARM_UP..]));
    for (what, pause) in [("RequestPasswordReset", PAUSE), ("RequestPasswordReset, no pause between", Duration::ZERO)] {
        dice.shuffle(&mut addresses);
        let mut timed = Vec::new();
        for address in &addresses {
            timed.push(request_reset(channel.clone(), address, &timed).await?);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        notes.extend(report(what, &timed[2 * WARM_UP..]));
    }
    println!("\n{}", notes.join("\n"));
    program.stop()
}

async fn sign_in(channel: Channel, address: &Address, before: &[Timed]) -> Result<Timed> {
    let request = v1::SignInRequest {
        email: address.text.clone(),
        password: "granite pillow 19 comet".to_owned(),
        ..Default::default()
    };
    let mut client = SessionServiceClient::new(channel);
    let start = Instant::now();
    let answer = client.sign_in(request).await;
    let millis = start.elapsed().as_secs_f64() * 1e3;
    match answer {
        Err(status) if status.code() == Code::Unauthenticated => Ok(timed(address, millis, before)),
        other => Err(format!("{other:?}").into()),
    }
}

async fn request_reset(channel: Channel, address: &Address, before: &[Timed]) -> Result<Timed> {
    let request = v1::RequestPasswordResetRequest { email: address.text.clone() };
    let mut client = PasswordServiceClient::new(channel);
    let start = Instant::now();
    client.request_password_reset(request).await?;
    Ok(timed(address, start.elapsed().as_secs_f64() * 1e3, before))
}

fn timed(address: &Address, millis: f64, before: &[Timed]) -> Timed {
    Timed { known: address.known, millis, after_known: before.last().is_some_and(|timed| timed.known) }
}

/// The rows of the table, and what the tests say of them.
fn report(what: &str, timed: &[Timed]) -> Vec<String> {
    let sample = |keep: &dyn Fn(usize, &Timed) -> bool| {
        let kept = timed.iter().enumerate().filter(|(number, it)| keep(*number, it));
        Sample::new(kept.map(|(_, it)| it.millis).collect())
    };
    let (known, unknown) = (sample(&|_, it| it.known), sample(&|_, it| !it.known));
    println!("| {what} | known |{known} |\n| {what} | unknown |{unknown} |");
    let halves = (sample(&|number, _| number % 2 == 0), sample(&|number, _| number % 2 == 1));
    let after = (sample(&|_, it| it.after_known), sample(&|_, it| !it.after_known));
    vec![
        format!("{what}: known against unknown: {}", Comparison::of(&known, &unknown)),
        format!(
            "{what}: the call after a known one against the call after an unknown one: {}",
            Comparison::of(&after.0, &after.1)
        ),
        format!(
            "{what}: every other call against the rest, which is no difference: {}",
            Comparison::of(&halves.0, &halves.1)
        ),
    ]
}
