//! Looks at the service from outside while something is broken, and until it is whole again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rolecall::grpc::pb::v1;
use rolecall::grpc::pb::v1::check_access_request::Requirement;
use rolecall::model::Role;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::faults::scene::{Running, Scene};
use crate::support::{As, Child, Database, ok, outcome};

/// Longer than anything may take; what takes as long never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rounds of calls until one must lose nothing.
const ROUNDS: usize = 4;

pub struct Probe {
    caller: As,
    health: HealthClient<tonic::transport::Channel>,
    writes: AtomicUsize,
}

impl Probe {
    pub async fn of(scene: &Scene, child: &Child) -> Self {
        let caller = child.with_token(Some(&scene.owner)).await;
        Self { caller, health: HealthClient::new(child.connect().await), writes: AtomicUsize::new(0) }
    }

    /// Asks what the Owner may do. `false` never comes: the Owner may.
    pub async fn check(&self) -> String {
        let requirement = Some(Requirement::MinimumRole(Role::Owner.number()));
        let answer = self.caller.access().check_access(v1::CheckAccessRequest { subject: None, requirement }).await;
        if let Ok(answer) = &answer {
            assert!(answer.get_ref().allowed, "trouble was answered as a denial");
        }
        outcome(&answer)
    }

    pub async fn write(&self) -> String {
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        outcome(&self.caller.call_myself(&format!("Olga {number}")).await)
    }

    pub async fn serving(&self) -> bool {
        let request = HealthCheckRequest { service: String::new() };
        ok(self.health.clone().check(request).await).status() == ServingStatus::Serving
    }

    /// Makes calls until the health says that nothing is served. Nobody may be allowed anything meanwhile, and every
    /// refusal says that it is the database, and when to try again. Answers what was answered.
    pub async fn away(&self) -> BTreeMap<String, usize> {
        let mut answers = BTreeMap::new();
        let began = Instant::now();
        while self.serving().await || !answers.contains_key("DATABASE_UNAVAILABLE") {
            for answer in [self.check().await, self.write().await] {
                let right = ["DATABASE_UNAVAILABLE", "DEADLINE_EXCEEDED"].contains(&answer.as_str());
                assert!(right, "without a database it answered {answer}");
                *answers.entry(answer).or_default() += 1;
            }
            assert!(began.elapsed() < PATIENCE, "health still says that all is well: {answers:?}");
        }
        answers
    }

    /// Makes changes until one is taken, and waits until the health says so too. Prints how long it was from `since`.
    pub async fn recovers(&self, fault: &str, since: Instant) {
        let mut answers = BTreeMap::<String, usize>::new();
        loop {
            let answer = self.write().await;
            if answer == "OK" {
                break;
            }
            *answers.entry(answer).or_default() += 1;
            assert!(since.elapsed() < PATIENCE, "it does not resume: {answers:?}");
        }
        let writes = since.elapsed();
        // Checks have connections of their own, which come back by themselves.
        while self.check().await != "OK" {
            assert!(since.elapsed() < PATIENCE, "changes are taken, but checks are not answered");
        }
        while !self.serving().await {
            assert!(since.elapsed() < PATIENCE, "health does not notice");
        }
        eprintln!(
            "recovery: {fault}: changes after {writes:?}, health after {:?}, meanwhile {answers:?}",
            since.elapsed()
        );
    }
}

/// Lets work go on until the fault has cost it something, and then rest.
pub async fn hurt(scene: &mut Scene, running: Running) {
    let began = Instant::now();
    while running.calls.lost().is_empty() {
        crate::races::yields(100).await;
        assert!(began.elapsed() < PATIENCE, "nobody notices");
    }
    running.calls.stop();
    scene.rest(running).await;
}

/// Everybody asks again what was not answered, and then all that was acknowledged is there and nothing is half done.
pub async fn settle(scene: &mut Scene, child: &Child) {
    let database = scene.outside().await;
    settle_on(scene, child, &database).await;
}

/// As [`settle`], where this is the database now.
pub async fn settle_on(scene: &mut Scene, child: &Child, database: &Database) {
    scene.check_acknowledged(database).await;
    database.assert_whole().await;
    for client in &mut scene.clients {
        if let crate::faults::load::Client::Host(host) = client {
            host.wait_no_longer();
        }
    }
    // With limits as short as these a busy machine may cost a call by itself. It is told that the service is not there, and
    // soon there is a round without.
    let mut rounds = 0;
    loop {
        rounds += 1;
        let running = scene.run(child);
        running.calls.answered(100).await;
        running.calls.stop();
        let calls = running.calls.clone();
        scene.rest(running).await;
        let lost = calls.lost();
        if lost.is_empty() {
            break;
        }
        let told = lost.keys().all(|how| how.starts_with("Unavailable") || how.starts_with("DeadlineExceeded"));
        assert!(told && rounds < ROUNDS, "the service fails calls when all is well again: {lost:?}");
    }
    scene.check_acknowledged(database).await;
    database.assert_whole().await;
    assert!(scene.clients.iter().all(|client| client.open_questions() == 0));
}
