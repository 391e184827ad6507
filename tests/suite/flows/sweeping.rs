//! What goes after it has served its purpose, and what stays.

use std::collections::BTreeMap;

use rolecall::authz::{Caller, Op};
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use rolecall::store::{SweepKind, SweepLimits};

use super::{DAY, SECOND, WEEK};
use crate::support::{PASSWORD, World, ok, refused};

async fn sweep(world: &World) -> BTreeMap<&'static str, u64> {
    world.app.sweep().await.unwrap().into_iter().filter(|(_, rows)| *rows > 0).collect()
}

/// Sweeps what stands for the names that were locked so far: the addresses that were written to, the workspaces.
async fn forget_names(world: &World) {
    assert_eq!(sweep(world).await.into_keys().collect::<Vec<_>>(), ["counters"]);
}

async fn rows(world: &World, table: &str) -> i64 {
    world.outside().await.number(&format!("SELECT count(*) FROM {table}")).await
}

#[tokio::test]
async fn what_has_served_its_purpose_goes_in_its_time_and_history_stays() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let expired = world.invite(&owner, "late@acme.example", Role::Agent).await;
    ok(world.by(&owner).remove(&gil.user_id).await);
    forget_names(&world).await;
    assert_eq!(sweep(&world).await, [].into(), "something went while it still served");

    // A week after they ended or were sent: the removed user's session, both e-mails. The Owner's died of disuse
    // after a day, and goes as if it had lived to its end after 14.
    world.wait(WEEK);
    assert_eq!(sweep(&world).await, [].into());
    world.wait(SECOND);
    assert_eq!(sweep(&world).await, [("emails", 2), ("sessions", 1)].into());
    world.wait(14 * DAY - 2 * SECOND);
    assert_eq!(sweep(&world).await, [].into());
    world.wait(2 * SECOND);
    assert_eq!(sweep(&world).await, [("sessions", 1)].into());

    // Links say how they died for 30 days: two were accepted on the first day, one expired on the seventh.
    world.wait(9 * DAY);
    assert_eq!(sweep(&world).await, [("links", 2)].into());
    assert_eq!(refused(world.nobody().accept(&expired, "Late", PASSWORD).await).reason(), "INVITATION_EXPIRED");
    world.wait(WEEK);
    assert_eq!(sweep(&world).await, [("links", 1)].into());
    assert_eq!(refused(world.nobody().accept(&expired, "Late", PASSWORD).await).reason(), "INVITATION_NOT_FOUND");

    let kept = ["user_account", "membership", "invitation", "audit_event"];
    let mut before = vec![];
    for table in kept {
        before.push(rows(&world, table).await);
    }
    world.wait(362 * DAY);
    // Devices that were not used for long are known no more.
    assert_eq!(sweep(&world).await, [("devices", 2)].into());
    for (table, rows_before) in kept.into_iter().zip(before) {
        assert!(rows_before > 0 && rows(&world, table).await == rows_before, "{table}");
    }
    world.wait(2 * DAY);
    assert_eq!(sweep(&world).await.keys().collect::<Vec<_>>(), [&"audit events"]);
    assert_eq!((rows(&world, "audit_event").await, rows(&world, "invitation").await), (0, 3));
    assert_eq!((rows(&world, "user_account").await, rows(&world, "membership").await), (2, 2));
}

#[tokio::test]
async fn one_transaction_sweeps_no_more_than_its_bound_and_the_rest_follows() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    for index in 0..5 {
        world.invite(&owner, &format!("p{index}@acme.example"), Role::Agent).await;
    }
    world.wait(60 * DAY);
    let now = world.clock.now();
    let limits =
        SweepLimits { ended_sessions: WEEK, dead_links: WEEK, settled_emails: WEEK, audit_events: 400 * DAY, batch: 2 };
    let mut left = vec![];
    for _ in 0..3 {
        let op = Op::internal(Caller::System, uuid::Uuid::nil(), now);
        let mut tx = world.store.write_unscoped(&op).await.unwrap();
        for kind in SweepKind::ALL {
            tx.sweep(kind, &limits).await.unwrap();
        }
        tx.commit().await.unwrap();
        left.push((rows(&world, "outbox").await, rows(&world, "invitation_token").await));
    }
    assert_eq!(left, [(3, 4), (1, 2), (0, 0)]);
}

#[tokio::test]
async fn what_still_serves_is_not_swept() {
    let world = World::start_throttled(|_| {}).await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let create = || v1::CreateInvitationRequest {
        email: "gil@acme.example".into(),
        role: Role::Agent.number(),
        request_id: "00000000-0000-4000-8000-000000000001".into(),
    };
    let created = ok(world.by(&owner).invitations().create_invitation(create()).await);
    let request = v1::RequestPasswordResetRequest { email: owner.email.clone() };
    ok(world.nobody().passwords().request_password_reset(request).await);
    world.deliver().await;
    for _ in 0..3 {
        let guess = world.nobody().sign_in("gil@acme.example", "violet kettle orbit 78 lamp", "").await;
        assert_eq!(refused(guess).reason(), "INVALID_CREDENTIALS");
    }
    forget_names(&world).await;
    assert_eq!(sweep(&world).await, [].into());
    let guess = world.nobody().sign_in("gil@acme.example", "violet kettle orbit 78 lamp", "").await;
    assert_eq!(refused(guess).reason(), "TOO_MANY_ATTEMPTS");
    let again = ok(world.by(&owner).invitations().create_invitation(create()).await);
    assert_eq!(again.invitation.unwrap().invitation_id, created.invitation.unwrap().invitation_id);
    let reset = v1::ResetPasswordRequest {
        reset_token: world.mail_to(&owner.email)[0].reset_token(),
        new_password: "copper lantern 31 meadow".into(),
    };
    ok(world.nobody().passwords().reset_password(reset).await);
}

#[tokio::test]
async fn a_sweep_goes_on_until_nothing_is_due() {
    let world = World::start().await;
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
        INSERT INTO request_record (owner_id, method, request_id, fingerprint, resource_id, created_at)
        SELECT randomblob(16), 'CreateInvitation', randomblob(16), zeroblob(32), randomblob(16), 0 FROM n";
    assert_eq!(world.outside().await.run(fill).await, 1200);
    assert_eq!(sweep(&world).await, [("requests", 1200)].into());
    assert_eq!(rows(&world, "request_record").await, 0);
}
