//! The program itself, whose clock is moved from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rolecall::model::Role;

use crate::support::{Child, Mail, PASSWORD, Place, ok, refused, rolecall};

/// Debian's `faketime`.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// A command whose clock stands at what the file says.
fn at_the_time_of(file: &Path, arguments: &[&str]) -> Command {
    let mut command = rolecall(arguments);
    command
        .env("LD_PRELOAD", LIBRARY)
        .env("FAKETIME_TIMESTAMP_FILE", file)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_NO_CACHE", "1")
        .env("TZ", "UTC");
    command
}

/// Sets the clock. A rename, so that the program never reads half a file.
fn set(file: &PathBuf, time: &str) {
    let new = file.with_extension("new");
    fs::write(&new, time).unwrap();
    fs::rename(new, file).unwrap();
}

#[tokio::test]
async fn the_running_program_takes_an_invitation_a_second_before_its_end_and_not_a_second_after() {
    assert!(
        Path::new(LIBRARY).exists(),
        "libfaketime is missing: scripts/test installs it (Debian's package faketime)"
    );
    let place = Place::empty();
    let (clock, url, mail) = (place.folder().join("clock"), place.url(), place.mail());
    set(&clock, "2026-03-01 12:00:00");
    let bootstrap = ["bootstrap", "--database-url", &url, "--workspace", "Acme", "--owner", "o@acme.example", "--json"];
    let printed = at_the_time_of(&clock, &bootstrap).output().unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    let mail_url = format!("file:{}", mail.display());
    let serve =
        ["serve", "--database-url", &url, "--mail-url", &mail_url, "--grpc-listen", "127.0.0.1:0", "--log", "warn"];
    let child = Child::spawn(at_the_time_of(&clock, &serve));
    let nobody = child.with_token(None).await;
    let token = printed["invitation_token"].as_str().unwrap();
    let owner = ok(nobody.accept(token, "Olga", PASSWORD).await).session_token;
    let owner = child.with_token(Some(&owner)).await;
    let mut tokens = Vec::new();
    for email in ["early@acme.example", "late@acme.example"] {
        let invitation = ok(owner.create_invitation(email, Role::Agent).await).invitation.unwrap();
        assert_eq!(invitation.expire_time.unwrap().seconds, 1_772_971_200, "the program's clock was not moved");
        let sent = rolecall::grpc::pb::v1::DeliveryState::Sent;
        while ok(owner.get_invitation(&invitation.invitation_id).await).invitation.unwrap().delivery.unwrap().state()
            != sent
        {}
        tokens.push(Mail::all_in(&mail).into_iter().find(|mail| mail.to == email).unwrap().token());
    }
    set(&clock, "2026-03-08 11:59:59");
    ok(nobody.accept(&tokens[0], "Early", PASSWORD).await);
    set(&clock, "2026-03-08 12:00:01");
    assert_eq!(refused(nobody.accept(&tokens[1], "Late", PASSWORD).await).reason(), "INVITATION_EXPIRED");
}
