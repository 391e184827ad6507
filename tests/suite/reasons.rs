//! Every reason of the contract has something that produces it, with the code of the contract's table.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use rolecall::authz::ServiceScope;
use rolecall::config::GrpcConfig;
use rolecall::error::Reason;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::support::{As, PASSWORD, Person, Refused, World, hex, ok, refused};

const WRONG: &str = "violet kettle orbit 78 lamp";
const NOBODY: &str = "7d4a2f60-8c1b-4e0a-9d3f-2b6c5e8f1a90";
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The table of contract, section 4, copied from there and from nowhere else.
const TABLE: [(Code, &[&str]); 13] = [
    (Code::Unauthenticated, &["CREDENTIAL_MISSING", "SESSION_ENDED", "SERVICE_KEY_INVALID", "INVALID_CREDENTIALS"]),
    (
        Code::PermissionDenied,
        &["ROLE_TOO_LOW", "SCOPE_MISSING", "SESSION_REQUIRED", "OWNER_REQUIRED", "NOT_A_MEMBER", "PASSWORD_WRONG"],
    ),
    (
        Code::NotFound,
        &["USER_NOT_FOUND", "INVITATION_NOT_FOUND", "SESSION_NOT_FOUND", "WORKSPACE_NOT_FOUND", "RESET_NOT_FOUND"],
    ),
    (Code::AlreadyExists, &["ALREADY_MEMBER", "INVITATION_PENDING"]),
    (
        Code::FailedPrecondition,
        &[
            "LAST_OWNER",
            "USER_REMOVED",
            "REAUTHENTICATION_REQUIRED",
            "WORKSPACE_MISMATCH",
            "WORKSPACE_FOUNDED",
            "INVITATION_EXPIRED",
            "INVITATION_CANCELED",
            "INVITATION_ACCEPTED",
            "INVITATION_SUPERSEDED",
            "INVITER_NOT_ENTITLED",
        ],
    ),
    (Code::InvalidArgument, &["FIELD_INVALID", "PAGE_TOKEN_INVALID", "WORKSPACE_REQUIRED", "REQUEST_ID_REUSED"]),
    (Code::ResourceExhausted, &["TOO_MANY_ATTEMPTS", "QUOTA_EXCEEDED", "OVERLOADED"]),
    (Code::Aborted, &["CONFLICT"]),
    (Code::Unavailable, &["DATABASE_UNAVAILABLE"]),
    (Code::DeadlineExceeded, &["DEADLINE"]),
    (Code::Unimplemented, &["METHOD_UNKNOWN"]),
    (Code::OutOfRange, &["MESSAGE_TOO_LARGE"]),
    (Code::Internal, &["MESSAGE_MALFORMED", "INTERNAL"]),
];

#[tokio::test]
async fn every_reason_is_produced_with_the_code_of_the_table() {
    for reason in Reason::ALL {
        let row = TABLE.iter().find(|(_, reasons)| reasons.contains(&reason.as_str()));
        let (code, _) = row.unwrap_or_else(|| panic!("{} is not in the contract's table", reason.as_str()));
        let produced = produce(*reason).await;
        assert_eq!((produced.code, produced.reason()), (*code, reason.as_str()), "{produced:?}");
    }
    let listed: usize = TABLE.iter().map(|(_, reasons)| reasons.len()).sum();
    assert_eq!(listed, Reason::ALL.len(), "the contract's table has reasons that nothing can say");
}

type Producing = Pin<Box<dyn Future<Output = Refused>>>;

/// Without a wildcard, so that a new reason does not compile until something produces it.
fn produce(reason: Reason) -> Producing {
    match reason {
        Reason::CredentialMissing => with(async |w, _| refused(w.nobody().get_session().await)),
        Reason::SessionEnded => with(async |w, _| refused(w.with_token("rcs_x").get_session().await)),
        Reason::ServiceKeyInvalid => with(async |w, _| refused(w.with_token("rck_x").get_session().await)),
        Reason::InvalidCredentials => with(async |w, o| refused(w.nobody().sign_in(&o.email, WRONG, "").await)),
        Reason::RoleTooLow => with(async |w, o| {
            let gil = w.join(o, "gil@acme.example", Role::Agent).await;
            refused(w.by(&gil).remove(&o.user_id).await)
        }),
        Reason::ScopeMissing => with(async |w, o| {
            let key = w.service_key("desk", &[ServiceScope::CheckAccess], None).await;
            refused(w.with_token(&key).get_user(&o.user_id).await)
        }),
        Reason::SessionRequired => with(async |w, _| {
            let key = w.service_key("desk", &[ServiceScope::CheckAccess], None).await;
            refused(w.with_token(&key).sign_out().await)
        }),
        Reason::OwnerRequired => with(async |w, o| {
            let ada = w.join(o, "ada@acme.example", Role::Admin).await;
            refused(w.by(&ada).remove(&o.user_id).await)
        }),
        Reason::NotAMember => with(async |w, o| refused(w.by(o).switch_to(NOBODY).await)),
        Reason::PasswordWrong => with(async |w, o| refused(w.by(o).reauthenticate(WRONG).await)),
        Reason::UserNotFound => with(async |w, o| refused(w.by(o).get_user(NOBODY).await)),
        Reason::InvitationNotFound => with(async |w, o| refused(w.by(o).get_invitation(NOBODY).await)),
        Reason::SessionNotFound => with(async |w, o| refused(w.by(o).revoke(NOBODY).await)),
        Reason::WorkspaceNotFound => with(async |w, o| {
            let key = w.service_key("crm", &[ServiceScope::ReadUsers], None).await;
            refused(w.with_token(&key).in_workspace(NOBODY).get_user(&o.user_id).await)
        }),
        Reason::AlreadyMember => with(async |w, o| refused(w.by(o).create_invitation(&o.email, Role::Agent).await)),
        Reason::InvitationPending => with(async |w, o| {
            w.invite(o, "gil@acme.example", Role::Agent).await;
            refused(w.by(o).create_invitation("gil@acme.example", Role::Agent).await)
        }),
        Reason::LastOwner => with(async |w, o| refused(w.by(o).leave().await)),
        Reason::UserRemoved => with(async |w, o| {
            let gil = w.join(o, "gil@acme.example", Role::Agent).await;
            ok(w.by(o).remove(&gil.user_id).await);
            refused(w.by(o).remove(&gil.user_id).await)
        }),
        Reason::ReauthenticationRequired => with(async |w, o| {
            w.wait(Duration::from_secs(600));
            refused(w.by(o).create_invitation("gil@acme.example", Role::Owner).await)
        }),
        Reason::WorkspaceMismatch => with(async |w, o| refused(w.by(o).in_workspace(NOBODY).get_session().await)),
        Reason::WorkspaceFounded => with(async |w, o| {
            let key = w.service_key("shop", &[ServiceScope::ProvisionWorkspaces], None).await;
            let states = vec![v1::InvitationState::Accepted.into()];
            let list = v1::ListInvitationsRequest { states, ..Default::default() };
            let founding = ok(w.by(o).invitations().list_invitations(list).await).invitations.remove(0);
            refused(w.with_token(&key).in_workspace(&o.workspace_id).resend(&founding.invitation_id).await)
        }),
        Reason::InvitationExpired => with(async |w, o| {
            let token = w.invite(o, "gil@acme.example", Role::Agent).await;
            w.wait(WEEK);
            refused(w.nobody().accept(&token, "Gil", PASSWORD).await)
        }),
        Reason::InvitationCanceled => with(async |w, o| {
            let id = ok(w.by(o).create_invitation("gil@acme.example", Role::Agent).await).invitation.unwrap();
            ok(w.by(o).cancel(&id.invitation_id).await);
            refused(w.by(o).resend(&id.invitation_id).await)
        }),
        Reason::InvitationAccepted => with(async |w, o| {
            let token = w.invite(o, "gil@acme.example", Role::Agent).await;
            w.accept(&token, "Gil").await;
            refused(w.nobody().accept(&token, "Gil", WRONG).await)
        }),
        Reason::InvitationSuperseded => with(async |w, o| {
            let token = w.invite(o, "gil@acme.example", Role::Agent).await;
            let list = v1::ListInvitationsRequest::default();
            let sent = ok(w.by(o).invitations().list_invitations(list).await).invitations.remove(0);
            ok(w.by(o).resend(&sent.invitation_id).await);
            refused(w.nobody().accept(&token, "Gil", PASSWORD).await)
        }),
        Reason::InviterNotEntitled => with(async |w, o| {
            let ada = w.join(o, "ada@acme.example", Role::Admin).await;
            let token = w.invite(&ada, "gil@acme.example", Role::Agent).await;
            let lower = format!("UPDATE membership SET role = 1 WHERE hex(user_id) = '{}'", hex(&ada.user_id));
            w.outside().await.run(&lower).await;
            refused(w.nobody().accept(&token, "Gil", PASSWORD).await)
        }),
        Reason::FieldInvalid => with(async |w, o| refused(w.by(o).get_user("42").await)),
        Reason::PageTokenInvalid => with(async |w, o| {
            let request = v1::ListUsersRequest { page_token: "x".into(), ..Default::default() };
            refused(w.by(o).users().list_users(request).await)
        }),
        Reason::WorkspaceRequired => with(async |w, o| {
            let key = w.service_key("crm", &[ServiceScope::ReadUsers], None).await;
            refused(w.with_token(&key).get_user(&o.user_id).await)
        }),
        Reason::RequestIdReused => with(async |w, o| {
            let request = |email: &str| v1::CreateInvitationRequest {
                email: email.into(),
                role: Role::Agent.number(),
                request_id: NOBODY.into(),
            };
            ok(w.by(o).invitations().create_invitation(request("gil@acme.example")).await);
            refused(w.by(o).invitations().create_invitation(request("eve@acme.example")).await)
        }),
        Reason::TooManyAttempts => within(World::start_throttled(|_| {}), async |w, o| {
            // Bounded, so that a throttle that is none is a failed test and no endless one.
            for _ in 0..1_000 {
                let refusal = refused(w.nobody().sign_in(&o.email, WRONG, "").await);
                if refusal.reason() != "INVALID_CREDENTIALS" {
                    return refusal;
                }
            }
            panic!("a thousand guesses were let through");
        }),
        Reason::QuotaExceeded => within(World::start_with_quotas(), async |w, o| {
            let sent = ok(w.by(o).create_invitation("gil@acme.example", Role::Agent).await).invitation.unwrap();
            refused(w.by(o).resend(&sent.invitation_id).await)
        }),
        Reason::ResetNotFound => with(async |w, _| {
            let request = v1::ResetPasswordRequest { reset_token: "rcp_x".into(), new_password: PASSWORD.into() };
            refused(w.nobody().passwords().reset_password(request).await)
        }),
        Reason::Overloaded => with(overloaded),
        Reason::Conflict => with(conflict),
        Reason::DatabaseUnavailable => with(async |w, o| {
            w.place().take_away();
            refused(w.by(o).leave().await)
        }),
        Reason::Deadline => with(deadline),
        Reason::MethodUnknown => {
            with(async |w, _| refused(raw(w, "/rolecall.v1.UserService/DropUsers", v1::GetSessionRequest {}).await))
        }
        Reason::MessageTooLarge => with(async |w, o| refused(w.by(o).call_myself(&"x".repeat(100_000)).await)),
        // A number where text belongs.
        Reason::MessageMalformed => with(async |w, _| {
            let request = v1::ListUsersRequest { page_size: 7, ..Default::default() };
            refused(raw(w, "/rolecall.v1.InvitationService/PreviewInvitation", request).await)
        }),
        Reason::Internal => with(async |w, o| {
            w.outside().await.run("UPDATE audit_event SET action = 999").await;
            let refusal = refused(w.by(o).audit().list_audit_events(v1::ListAuditEventsRequest::default()).await);
            assert_eq!(refusal.metadata["requestId"].len(), 36);
            assert!(!refusal.message.contains("audit"), "{}", refusal.message);
            refusal
        }),
    }
}

/// Runs a producer in a world of its own, with a workspace's Owner.
fn with(producer: impl AsyncFnOnce(&World, &Person) -> Refused + 'static) -> Producing {
    within(World::start(), producer)
}

/// As [`with`], in this world.
fn within(
    world: impl Future<Output = World> + 'static,
    producer: impl AsyncFnOnce(&World, &Person) -> Refused + 'static,
) -> Producing {
    Box::pin(async move {
        let world = world.await;
        let owner = world.workspace("Acme", "owner@acme.example").await;
        producer(&world, &owner).await
    })
}

/// Calls a path as it is, with whatever message.
async fn raw(
    world: &World,
    path: &'static str,
    request: impl prost::Message + 'static,
) -> Result<Response<()>, Status> {
    let mut client = tonic::client::Grpc::new(connect(world.address).await);
    client.ready().await.unwrap();
    client.unary(Request::new(request), path.parse().unwrap(), ProstCodec::default()).await
}

async fn connect(address: std::net::SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// One more server over the same service, with a configuration of its own.
async fn another_server(world: &World, owner: &Person, configure: impl FnOnce(&mut GrpcConfig)) -> As {
    let mut config = GrpcConfig::on_loopback("127.0.0.1:0".parse().unwrap());
    configure(&mut config);
    let listener = rolecall::grpc::Listener::bind(&config, None).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = world.app.clone();
    tokio::spawn(async move { rolecall::grpc::serve(app, config, listener, std::future::pending()).await.unwrap() });
    As::new(connect(address).await, Some(owner.token.clone()))
}

/// Another program holds the write lock for longer than the call may take.
async fn deadline(world: &World, owner: &Person) -> Refused {
    let hasty = another_server(world, owner, |config| config.max_call_time = Duration::from_millis(20)).await;
    let other = world.outside().await;
    other.lock().await;
    let refusal = refused(hasty.call_myself("Olga").await);
    other.run("COMMIT").await;
    refusal
}

/// A server that takes one call at a time has one that waits for another program's lock.
async fn overloaded(world: &World, owner: &Person) -> Refused {
    let narrow = another_server(world, owner, |config| config.max_calls_in_flight = 1).await;
    let other = world.outside().await;
    other.lock().await;
    let held = narrow.call_myself("Olga");
    let second = async {
        loop {
            if let Err(status) = narrow.get_session().await {
                return Refused::from_status(&status);
            }
        }
    };
    // Whichever comes first takes the only place, and the other one is refused.
    let refusal = tokio::select! {
        first = held => refused(first),
        second = second => second,
    };
    other.run("COMMIT").await;
    refusal
}

/// A rival who invites the same person a moment earlier, on every try.
async fn conflict(world: &World, owner: &Person) -> Refused {
    let insert = "INSERT INTO invitation VALUES (randomblob(16), NEW.workspace_id, NEW.email, NEW.role, NEW.issue, \
        NEW.invited_by, NEW.created_at, NEW.expires_at, NULL, NULL, NULL, false, false, NULL, 0, NULL, '')";
    let sqlite = format!("CREATE TRIGGER rival BEFORE INSERT ON invitation BEGIN {insert}; END");
    let postgres = format!(
        "CREATE FUNCTION rival() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {insert}; RETURN NEW; END $$;
         ALTER FUNCTION rival SET search_path = public, tests;
         CREATE TRIGGER rival BEFORE INSERT ON invitation FOR EACH ROW WHEN (pg_trigger_depth() = 0)
             EXECUTE FUNCTION rival()"
    );
    world.outside().await.run_either(&sqlite, &postgres).await;
    let refusal = refused(world.by(owner).create_invitation("gil@acme.example", Role::Agent).await);
    assert_eq!(world.outside().await.number("SELECT count(*) FROM invitation").await, 1);
    refusal
}
