//! What is done per second.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use rolecall::config::SecurityConfig;
use rolecall::grpc::pb::v1;
use tokio::task::JoinSet;
use v1::access_service_client::AccessServiceClient;
use v1::check_access_request::{Requirement, Subject};
use v1::user_service_client::UserServiceClient;

use crate::Result;
use crate::clients::{Office, accept, connect, with};
use crate::program::Program;

/// Hashes as the service does by default, and does nothing else, each thread in one piece of memory that it keeps.
pub fn raw_hashes(threads: usize, for_time: Duration) -> Result<f64> {
    let costs = SecurityConfig::default();
    let params = Params::new(costs.password_hash_memory, costs.password_hash_iterations, 1, None)
        .map_err(|error| error.to_string())?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let work = |hasher: Argon2<'static>| {
        move || -> Option<f64> {
            let mut memory = vec![Block::default(); hasher.params().block_count()];
            let mut out = [0; 32];
            let (start, mut count) = (Instant::now(), 0);
            while start.elapsed() < for_time {
                let password = b"violet kettle orbit 77 lamp";
                hasher.hash_password_into_with_memory(password, &[7; 16], &mut out, &mut memory).ok()?;
                count += 1;
            }
            Some(f64::from(count) / start.elapsed().as_secs_f64())
        }
    };
    let running: Vec<_> = (0..threads).map(|_| std::thread::spawn(work(hasher.clone()))).collect();
    let rates = running.into_iter().map(|thread| thread.join().ok().flatten().ok_or("hashing failed"));
    Ok(rates.sum::<std::result::Result<f64, _>>()?)
}

/// Accepts each link once.
pub async fn accepts(program: &Program, links: &[String], in_flight: usize) -> Result<f64> {
    let links: Arc<[String]> = links.into();
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    let mut channels = Vec::new();
    for _ in 0..in_flight {
        channels.push(connect(&program.address).await?);
    }
    let start = Instant::now();
    for channel in channels {
        let (links, next) = (Arc::clone(&links), Arc::clone(&next));
        clients.spawn(async move {
            while let Some(link) = links.get(next.fetch_add(1, Ordering::Relaxed)) {
                accept(channel.clone(), link).await?;
            }
            Ok(())
        });
    }
    finish(clients).await?;
    Ok(links.len() as f64 / start.elapsed().as_secs_f64())
}

/// Each client changes one Agent's role, up and down in turn. Every change is one durable transaction.
pub async fn role_changes(office: &Office, clients: usize, changes_each: usize) -> Result<f64> {
    let mut running = JoinSet::new();
    let mut connected = Vec::new();
    for user_id in office.agents.iter().take(clients) {
        connected.push((UserServiceClient::new(connect(&office.address).await?), user_id.clone()));
    }
    let start = Instant::now();
    for (mut client, user_id) in connected {
        let owner = office.owner.clone();
        running.spawn(async move {
            for number in 0..changes_each {
                let role = if number % 2 == 0 { v1::Role::Manager } else { v1::Role::Agent };
                let request = v1::ChangeUserRoleRequest { user_id: user_id.clone(), role: role.into() };
                client.change_user_role(with(&owner, request)).await?;
            }
            Ok(())
        });
    }
    finish(running).await?;
    Ok((clients * changes_each) as f64 / start.elapsed().as_secs_f64())
}

/// A service asks about a session, over and over, each question on its own.
pub async fn checks(office: &Office, in_flight: usize, for_time: Duration) -> Result<f64> {
    let count = Arc::new(AtomicUsize::new(0));
    let mut running = JoinSet::new();
    let mut connected = Vec::new();
    for _ in 0..in_flight.div_ceil(8) {
        connected.push(AccessServiceClient::new(connect(&office.address).await?));
    }
    let start = Instant::now();
    for mut client in connected.into_iter().cycle().take(in_flight) {
        let (key, token, count) = (office.key.clone(), office.session_token.clone(), Arc::clone(&count));
        running.spawn(async move {
            while start.elapsed() < for_time {
                let request = v1::CheckAccessRequest {
                    subject: Some(Subject::SessionToken(token.clone())),
                    requirement: Some(Requirement::Permission(v1::Permission::ConversationsReply.into())),
                };
                if !client.check_access(with(&key, request)).await?.into_inner().allowed {
                    return Err("denied".into());
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
    }
    finish(running).await?;
    Ok(count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64())
}

async fn finish(mut running: JoinSet<Result<()>>) -> Result<()> {
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}
