//! Guessing is slowed, and nobody can be locked out by it.

use std::time::Duration;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{As, Child, PASSWORD, Place, Refused, World, ok, rolecall};

const WRONG: &str = "granite pillow 19 comet";

fn request(email: &str, password: &str, device: &str) -> v1::SignInRequest {
    v1::SignInRequest {
        email: email.into(),
        password: password.into(),
        device_token: device.into(),
        ..Default::default()
    }
}

async fn sign_in(client: &As, email: &str, password: &str) -> Result<v1::SignInResponse, Status> {
    Ok(client.sessions().sign_in(request(email, password, "")).await?.into_inner())
}

fn reason<T: std::fmt::Debug>(outcome: Result<T, Status>) -> String {
    Refused::from_status(&outcome.unwrap_err()).reason
}

/// How long a throttled attempt is told to wait.
fn wait<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Duration {
    let status = outcome.unwrap_err();
    let refused = Refused::from_status(&status);
    assert_eq!((refused.code, refused.reason()), (Code::ResourceExhausted, "TOO_MANY_ATTEMPTS"));
    status.get_error_details().retry_info().unwrap().retry_delay.unwrap()
}

/// Guesses wrong until the next has to wait.
async fn exhaust(client: &As, email: &str) -> Duration {
    for _ in 0..3 {
        assert_eq!(reason(sign_in(client, email, WRONG).await), "INVALID_CREDENTIALS");
    }
    wait(sign_in(client, email, WRONG).await)
}

#[tokio::test]
async fn each_wrong_guess_at_an_address_doubles_the_wait_for_the_next() {
    let world = World::start_throttled(|_| {}).await;
    world.workspace("Acme", "owner@acme.example").await;
    let nobody = world.nobody();
    let mut delay = exhaust(&nobody, "owner@acme.example").await;
    assert_eq!(delay, Duration::from_secs(1));
    for seconds in [2, 4, 8, 16] {
        world.clock.advance(delay);
        assert_eq!(reason(sign_in(&nobody, "owner@acme.example", WRONG).await), "INVALID_CREDENTIALS");
        delay = wait(sign_in(&nobody, "owner@acme.example", WRONG).await);
        assert_eq!(delay, Duration::from_secs(seconds));
    }
    world.clock.advance(delay);
    sign_in(&nobody, "owner@acme.example", PASSWORD).await.unwrap();
    assert_eq!(exhaust(&nobody, "owner@acme.example").await, Duration::from_secs(1));
    world.stop().await;
}

#[tokio::test]
async fn ten_failures_in_fifteen_minutes_from_one_network_are_the_end_for_an_address() {
    let world = World::start_throttled(|_| {}).await;
    world.workspace("Acme", "owner@acme.example").await;
    let nobody = world.nobody();
    let mut failures = 0;
    let delay = loop {
        match sign_in(&nobody, "owner@acme.example", WRONG).await.map_err(|status| Refused::from_status(&status)) {
            Err(refused) if refused.reason() == "INVALID_CREDENTIALS" => failures += 1,
            _ if failures == 10 => break wait(sign_in(&nobody, "owner@acme.example", WRONG).await),
            _ => world.clock.advance(wait(sign_in(&nobody, "owner@acme.example", WRONG).await)),
        }
    };
    // 127 seconds went by with waiting: 1 + 2 + … + 64.
    assert_eq!(delay, Duration::from_secs(15 * 60 - 127));
    world.stop().await;
}

#[tokio::test]
async fn while_throttled_right_and_wrong_known_and_unknown_read_the_same() {
    let world = World::start_throttled(|_| {}).await;
    world.workspace("Acme", "owner@acme.example").await;
    let nobody = world.nobody();
    exhaust(&nobody, "owner@acme.example").await;
    exhaust(&nobody, "unknown@acme.example").await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("owner@acme.example", PASSWORD),
        ("owner@acme.example", WRONG),
        ("unknown@acme.example", PASSWORD),
        ("unknown@acme.example", WRONG),
    ] {
        let status = sign_in(&nobody, email, password).await.unwrap_err();
        answers.push((status.code(), status.message().to_owned(), status.details().to_vec()));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    world.stop().await;
}

#[tokio::test]
async fn a_known_device_signs_in_during_the_attack_and_has_its_own_allowance() {
    let world = World::start_throttled(|_| {}).await;
    world.workspace("Acme", "owner@acme.example").await;
    let nobody = world.nobody();
    let device = sign_in(&nobody, "owner@acme.example", PASSWORD).await.unwrap().device_token;
    assert!(device.starts_with("rcd_"));
    exhaust(&nobody, "owner@acme.example").await;
    let with_device = |password: &str| {
        let request = request("owner@acme.example", password, &device);
        let mut sessions = nobody.sessions();
        async move { sessions.sign_in(request).await }
    };
    let answer = with_device(PASSWORD).await.unwrap().into_inner();
    assert_eq!(answer.device_token, device);
    for _ in 0..10 {
        assert_eq!(reason(with_device(WRONG).await), "INVALID_CREDENTIALS");
    }
    assert_eq!(wait(with_device(PASSWORD).await), Duration::from_secs(15 * 60));
    world.clock.advance(Duration::from_secs(15 * 60));
    with_device(PASSWORD).await.unwrap();
    world.clock.advance(Duration::from_secs(90 * 24 * 60 * 60));
    exhaust(&nobody, "owner@acme.example").await;
    wait(with_device(PASSWORD).await);
    world.stop().await;
}

#[tokio::test]
async fn a_device_is_known_for_its_own_user_only() {
    let world = World::start_throttled(|_| {}).await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    world.join(&owner, "eve@acme.example", Role::Agent).await;
    let nobody = world.nobody();
    let device = sign_in(&nobody, "eve@acme.example", PASSWORD).await.unwrap().device_token;
    exhaust(&nobody, "owner@acme.example").await;
    wait(nobody.sessions().sign_in(request("owner@acme.example", WRONG, &device)).await);
    world.stop().await;
}

#[tokio::test]
async fn a_reset_by_mail_is_never_throttled_by_guesses() {
    let world = World::start_throttled(|_| {}).await;
    world.workspace("Acme", "owner@acme.example").await;
    exhaust(&world.nobody(), "owner@acme.example").await;
    let ask = v1::RequestPasswordResetRequest { email: "owner@acme.example".into() };
    world.nobody().passwords().request_password_reset(ask).await.unwrap();
    world.deliver().await;
    let reset = v1::ResetPasswordRequest {
        reset_token: world.mail_to("owner@acme.example").pop().unwrap().reset_token(),
        new_password: "copper lantern 31 meadow".into(),
    };
    world.nobody().passwords().reset_password(reset).await.unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_parallel_guesses_three_are_looked_at() {
    let world = World::start_throttled(|_| {}).await;
    world.workspace("Acme", "owner@acme.example").await;
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let nobody = world.nobody();
        guesses.spawn(async move { reason(sign_in(&nobody, "owner@acme.example", WRONG).await) });
    }
    let reasons = guesses.join_all().await;
    let count = |wanted: &str| reasons.iter().filter(|reason| *reason == wanted).count();
    assert_eq!((count("INVALID_CREDENTIALS"), count("TOO_MANY_ATTEMPTS")), (3, 97));
    world.stop().await;
}

#[tokio::test]
async fn a_network_has_a_hundred_failures_an_hour_which_its_own_success_does_not_clear() {
    let world = World::start_throttled(|config| config.trusted_peers = vec!["127.0.0.1".parse().unwrap()]).await;
    world.workspace("Acme", "owner@acme.example").await;
    let from = |address: &str| world.nobody().and("rolecall-client-address", address);
    for number in 0..100 {
        if number == 50 {
            sign_in(&from("203.0.113.9"), "owner@acme.example", PASSWORD).await.unwrap();
        }
        let email = format!("p{number}@acme.example");
        assert_eq!(reason(sign_in(&from("203.0.113.7"), &email, WRONG).await), "INVALID_CREDENTIALS");
    }
    let delay = wait(sign_in(&from("203.0.113.200"), "owner@acme.example", PASSWORD).await);
    assert_eq!(delay, Duration::from_secs(60 * 60));
    sign_in(&from("203.0.114.7"), "owner@acme.example", PASSWORD).await.unwrap();
    world.clock.advance(delay);
    sign_in(&from("203.0.113.200"), "owner@acme.example", PASSWORD).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn who_finds_the_attempts_of_a_network_under_way_is_told_to_come_back_soon() {
    let world = World::start_throttled(|config| config.trusted_peers = vec!["127.0.0.1".parse().unwrap()]).await;
    world.workspace("Acme", "owner@acme.example").await;
    let from = |address: &str| world.nobody().and("rolecall-client-address", address);
    let client = from("203.0.113.7");
    assert_eq!(reason(sign_in(&client, "p1@acme.example", WRONG).await), "INVALID_CREDENTIALS");
    let database = world.outside().await;
    database.run("UPDATE throttle SET count = 99").await;
    // One that takes a while to look at.
    let slow = "$argon2id$v=19$m=65536,t=16,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    database.run(&format!("UPDATE user_account SET password_hash = '{slow}'")).await;
    let attempt = tokio::spawn(async move { sign_in(&client, "owner@acme.example", WRONG).await });
    let counted = "SELECT COUNT(*) FROM throttle WHERE count = 100";
    while database.number(counted).await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(wait(sign_in(&from("203.0.113.8"), "p2@acme.example", WRONG).await), Duration::from_secs(1));
    assert_eq!(reason(attempt.await.unwrap()), "INVALID_CREDENTIALS");
    assert_eq!(wait(sign_in(&from("203.0.113.8"), "p2@acme.example", WRONG).await), Duration::from_secs(60 * 60));
    world.stop().await;
}

#[tokio::test]
async fn a_session_has_ten_guesses_of_its_own_which_strangers_cannot_spend() {
    let world = World::start_throttled(|_| {}).await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    exhaust(&world.nobody(), "owner@acme.example").await;
    let again = |password: &str| {
        let request = v1::ReauthenticateRequest { password: password.into() };
        let mut sessions = world.by(&owner).sessions();
        async move { sessions.reauthenticate(request).await }
    };
    again(PASSWORD).await.unwrap();
    let change =
        v1::ChangePasswordRequest { current_password: WRONG.into(), new_password: "copper lantern 31 meadow".into() };
    for _ in 0..5 {
        assert_eq!(reason(again(WRONG).await), "PASSWORD_WRONG");
        assert_eq!(reason(world.by(&owner).passwords().change_password(change.clone()).await), "PASSWORD_WRONG");
    }
    assert_eq!(wait(again(PASSWORD).await), Duration::from_secs(15 * 60));
    wait(world.by(&owner).passwords().change_password(change).await);
    world.clock.advance(Duration::from_secs(15 * 60));
    again(PASSWORD).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_trusted_peer_that_names_no_client_spends_nobodys_budget() {
    let world = World::start_throttled(|config| config.trusted_peers = vec!["127.0.0.1".parse().unwrap()]).await;
    world.workspace("Acme", "owner@acme.example").await;
    for number in 0..101 {
        let email = format!("p{number}@acme.example");
        assert_eq!(reason(sign_in(&world.nobody(), &email, WRONG).await), "INVALID_CREDENTIALS");
    }
    sign_in(&world.nobody(), "owner@acme.example", PASSWORD).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn accepting_with_a_password_counts_as_a_guess_at_the_address() {
    let world = World::start_throttled(|_| {}).await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let other = world.workspace("Bolt", "owner@bolt.example").await;
    world.join(&owner, "gil@acme.example", Role::Agent).await;
    let link = world.invite(&other, "gil@acme.example", Role::Agent).await;
    let accept =
        v1::AcceptInvitationRequest { invitation_token: link, display_name: String::new(), password: WRONG.into() };
    for _ in 0..3 {
        let accepted = world.nobody().invitations().accept_invitation(accept.clone()).await;
        assert_eq!(reason(accepted), "INVALID_CREDENTIALS");
    }
    wait(world.nobody().invitations().accept_invitation(accept).await);
    wait(sign_in(&world.nobody(), "gil@acme.example", PASSWORD).await);
    world.stop().await;
}

#[tokio::test]
async fn the_right_password_of_a_removed_user_clears_no_counter() {
    let world = World::start_throttled(|_| {}).await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    world.by(&owner).users().remove_user(v1::RemoveUserRequest { user_id: gil.user_id }).await.unwrap();
    let nobody = world.nobody();
    for password in [WRONG, PASSWORD, WRONG] {
        assert_eq!(reason(sign_in(&nobody, "gil@acme.example", password).await), "INVALID_CREDENTIALS");
    }
    wait(sign_in(&nobody, "gil@acme.example", PASSWORD).await);
    world.stop().await;
}

#[tokio::test]
async fn a_right_password_that_leads_to_no_session_is_no_failure() {
    let world = World::start_throttled(|_| {}).await;
    world.workspace("Acme", "owner@acme.example").await;
    let elsewhere = world.workspace("Umbrella", "boss@umbrella.example").await;
    let nobody = world.nobody();
    for _ in 0..5 {
        let mut elsewhere_too = request("owner@acme.example", PASSWORD, "");
        elsewhere_too.workspace_id = elsewhere.workspace_id.clone();
        assert_eq!(reason(nobody.sessions().sign_in(elsewhere_too).await), "NOT_A_MEMBER");
    }
    let database = world.outside().await;
    assert_eq!(database.number("SELECT COUNT(*) FROM throttle WHERE count > 0").await, 0);
    sign_in(&nobody, "owner@acme.example", PASSWORD).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn who_is_removed_meanwhile_from_where_a_sign_in_would_have_gone_goes_elsewhere() {
    let world = World::start_throttled(|_| {}).await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let umbrella = world.workspace("Umbrella", "boss@umbrella.example").await;
    let gil = world.join(&acme, "gil@acme.example", Role::Agent).await;
    world.wait(Duration::from_secs(1));
    world.join(&umbrella, "gil@acme.example", Role::Agent).await;
    // One that takes a while to look at.
    let database = world.outside().await;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(65_536, 12, 1, None).unwrap());
    let slow = hasher.hash_password(PASSWORD.as_bytes()).unwrap();
    let set = format!("UPDATE user_account SET password_hash = '{slow}' WHERE email = 'gil@acme.example'");
    assert_eq!(database.run(&set).await, 1);
    let nobody = world.nobody();
    let attempt = tokio::spawn(async move { sign_in(&nobody, "gil@acme.example", PASSWORD).await });
    while database.number("SELECT COUNT(*) FROM throttle WHERE count > 0").await == 0 {
        tokio::task::yield_now().await;
    }
    world.by(&umbrella).users().remove_user(v1::RemoveUserRequest { user_id: gil.user_id }).await.unwrap();
    let session = attempt.await.unwrap().unwrap().session.unwrap();
    assert_eq!(session.workspace_id, acme.workspace_id);
    world.stop().await;
}

#[tokio::test]
async fn right_guesses_side_by_side_leave_the_failures_of_their_network_as_they_were() {
    let world = World::start_throttled(|config| config.trusted_peers = vec!["127.0.0.1".parse().unwrap()]).await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let client = world.nobody().and("rolecall-client-address", "203.0.113.7");
    for number in 0..5 {
        let nobody = format!("nobody{number}@acme.example");
        assert_eq!(reason(sign_in(&client, &nobody, WRONG).await), "INVALID_CREDENTIALS");
    }
    let mut people = vec!["owner@acme.example".to_owned()];
    for number in 0..7 {
        people.push(format!("p{number}@acme.example"));
        world.join(&owner, people.last().unwrap(), Role::Agent).await;
    }
    let all = people.into_iter().map(|email| {
        let client = client.clone();
        tokio::spawn(async move { sign_in(&client, &email, PASSWORD).await })
    });
    for signed_in in futures_util::future::join_all(all).await {
        signed_in.unwrap().unwrap();
    }
    // Five addresses, each from there, and the network.
    let database = world.outside().await;
    assert_eq!(database.number("SELECT COUNT(*) FROM throttle WHERE count = 1").await, 10);
    assert_eq!(database.number("SELECT COUNT(*) FROM throttle WHERE count > 1").await, 1);
    assert_eq!(database.number("SELECT MAX(count) FROM throttle").await, 5);
    world.stop().await;
}

#[tokio::test]
async fn a_wrong_password_on_a_used_link_counts_as_a_guess_and_does_not_tell() {
    let world = World::start_throttled(|_| {}).await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let link = world.invite(&owner, "gil@acme.example", Role::Agent).await;
    world.accept(&link, "Gil").await;
    let accept =
        v1::AcceptInvitationRequest { invitation_token: link, display_name: "Gil".into(), password: WRONG.into() };
    for _ in 0..3 {
        let answer = world.nobody().invitations().accept_invitation(accept.clone()).await;
        assert_eq!(reason(answer), "INVITATION_ACCEPTED");
    }
    wait(world.nobody().invitations().accept_invitation(accept).await);
    world.stop().await;
}

#[tokio::test]
async fn counters_outlive_the_process_and_are_swept_when_they_are_over() {
    let world = World::start_throttled(|_| {}).await;
    world.workspace("Acme", "owner@acme.example").await;
    // What stands for the workspace's name, which was locked, serves no more.
    world.app.sweep().await.unwrap();
    exhaust(&world.nobody(), "owner@acme.example").await;
    let (again, _stop) = world.another_server().await;
    wait(sign_in(&again, "owner@acme.example", PASSWORD).await);
    world.clock.advance(Duration::from_secs(60 * 60 + 1));
    let swept = world.app.sweep().await.unwrap();
    assert!(swept.contains(&("counters", 3)), "{swept:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_parallel_guesses_on_two_servers_three_are_looked_at() {
    let world = World::start_throttled(|_| {}).await;
    world.workspace("Acme", "owner@acme.example").await;
    let (other, _stop) = world.another_server().await;
    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..100 {
        let nobody = if number % 2 == 0 { world.nobody() } else { other.clone() };
        guesses.spawn(async move { reason(sign_in(&nobody, "owner@acme.example", WRONG).await) });
    }
    let reasons = guesses.join_all().await;
    let count = |wanted: &str| reasons.iter().filter(|reason| *reason == wanted).count();
    assert_eq!((count("INVALID_CREDENTIALS"), count("TOO_MANY_ATTEMPTS")), (3, 97));
    world.stop().await;
}

#[tokio::test]
async fn any_number_of_other_addresses_pushes_no_victims_counter_out() {
    let world = World::start_throttled(|_| {}).await;
    world.workspace("Acme", "owner@acme.example").await;
    let nobody = world.nobody();
    exhaust(&nobody, "owner@acme.example").await;
    for number in 0..50 {
        assert_eq!(reason(sign_in(&nobody, &format!("p{number}@acme.example"), WRONG).await), "INVALID_CREDENTIALS");
    }
    // What a hundred thousand more would leave, from as many networks.
    let database = world.outside().await;
    let now = world.clock.now().as_micros();
    let row = format!("1, {now}, {now}, {now} + 900000000");
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)";
    database
        .run_either(
            &format!("INSERT INTO throttle {numbers} SELECT randomblob(32), {row} FROM n"),
            &format!("INSERT INTO throttle {numbers} SELECT sha256(CAST(CAST(i AS text) AS bytea)), {row} FROM n"),
        )
        .await;
    world.app.sweep().await.unwrap();
    assert!(database.number("SELECT count(*) FROM throttle").await > 100_000);
    wait(sign_in(&nobody, "owner@acme.example", PASSWORD).await);
    // And none of them stays for longer than an hour.
    world.clock.advance(Duration::from_secs(60 * 60 + 1));
    world.app.sweep().await.unwrap();
    assert_eq!(database.number("SELECT count(*) FROM throttle").await, 0);
    world.stop().await;
}

#[tokio::test]
async fn a_counter_does_not_say_whose_it_is_without_the_key_of_the_data() {
    use sha2::{Digest, Sha256};
    let world = World::start_throttled(|_| {}).await;
    world.workspace("Acme", "owner@acme.example").await;
    world.app.sweep().await.unwrap();
    sign_in(&world.nobody(), "owner@acme.example", WRONG).await.unwrap_err();
    let database = world.outside().await;
    let keys = database.texts("SELECT hex(key) FROM throttle").await;
    assert_eq!(keys.len(), 3);
    // What somebody with a copy of the counters would try for an address that they know.
    let address = b"owner@acme.example".as_slice();
    let length = (address.len() as u64).to_le_bytes();
    for kind in 0..8_i16 {
        let kind = kind.to_le_bytes();
        let two = 2_u64.to_le_bytes();
        for parts in [vec![address], vec![&kind[..], address], vec![&two[..], &kind, &length, address]] {
            let hash: [u8; 32] = Sha256::digest(parts.concat()).into();
            let hex: String = hash.iter().map(|byte| format!("{byte:02X}")).collect();
            assert!(!keys.contains(&hex));
        }
    }
    // Another installation has another key, and other counters for the same guess.
    let other = World::start_throttled(|_| {}).await;
    other.workspace("Acme", "owner@acme.example").await;
    other.app.sweep().await.unwrap();
    sign_in(&other.nobody(), "owner@acme.example", WRONG).await.unwrap_err();
    let others = other.outside().await.texts("SELECT hex(key) FROM throttle").await;
    assert_eq!(others.len(), 3);
    assert!(others.iter().all(|key| !keys.contains(key)));
    world.stop().await;
    other.stop().await;
}

/// The program, with a log of everything.
struct Traced {
    place: Place,
    child: Child,
    /// The founding Owner's link.
    link: String,
}

impl Traced {
    fn start() -> Self {
        let place = Place::empty();
        let (url, mail) = (place.url(), format!("file:{}", place.mail().display()));
        let bootstrap =
            ["bootstrap", "--database-url", &url, "--workspace", "Acme", "--owner", "owner@acme.example", "--json"];
        let printed = rolecall(&bootstrap).output().unwrap().stdout;
        let printed: serde_json::Value = serde_json::from_slice(&printed).unwrap();
        let mut serve = rolecall(&["--log", "rolecall=trace", "serve", "--database-url", &url, "--mail-url", &mail]);
        let log = std::fs::File::create(place.folder().join("log")).unwrap();
        serve.args(["--grpc-listen", "127.0.0.1:0"]).stderr(log);
        let child = Child::spawn(serve);
        Self { place, child, link: printed["invitation_token"].as_str().unwrap().to_owned() }
    }

    /// Stops it. Answers how many passwords argon2 got to see to compare them.
    async fn looks(self) -> usize {
        let child = self.child;
        assert_eq!(tokio::task::spawn_blocking(move || child.terminate()).await.unwrap(), Some(0));
        let log = std::fs::read_to_string(self.place.folder().join("log")).unwrap();
        log.matches("a password is looked at").count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_parallel_guesses_on_a_device_exactly_ten_reach_argon2() {
    let program = Traced::start();
    let nobody = program.child.with_token(None).await;
    let device = ok(nobody.accept(&program.link, "Olga", PASSWORD).await).device_token;
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (nobody, request) = (nobody.clone(), request("owner@acme.example", WRONG, &device));
        guesses.spawn(async move { reason(nobody.sessions().sign_in(request).await) });
    }
    let reasons = guesses.join_all().await;
    let count = |wanted: &str| reasons.iter().filter(|reason| *reason == wanted).count();
    assert_eq!((count("INVALID_CREDENTIALS"), count("TOO_MANY_ATTEMPTS")), (10, 90));
    drop(nobody);
    assert_eq!(program.looks().await, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_that_get_in_each_others_way_are_hashed_once_each() {
    const ROUNDS: usize = 10;
    let program = Traced::start();
    let nobody = program.child.with_token(None).await;
    ok(nobody.accept(&program.link, "Olga", PASSWORD).await);
    for _ in 0..ROUNDS {
        // As many as an address has at once.
        let mut sign_ins = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let nobody = nobody.clone();
            sign_ins.spawn(async move { sign_in(&nobody, "owner@acme.example", PASSWORD).await.map(drop) });
        }
        for signed_in in sign_ins.join_all().await {
            signed_in.unwrap();
        }
    }
    drop(nobody);
    assert_eq!(program.looks().await, 3 * ROUNDS);
}
