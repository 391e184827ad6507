//! `rolecall demo`: the main job on a throw-away database, and calls to try.
//!
//! The people in it come in as everybody does: invited, mailed, accepted. The e-mails lie in a folder as files.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::app::{AcceptInvitation, App, CreateInvitation, CreateServiceKey, SignedIn};
use crate::authz::{Caller, Op, ServiceScope, SessionCaller};
use crate::config::{DatabaseConfig, GrpcConfig, LinkConfig, MailConfig, QuotaConfig, SecurityConfig, socket_address};
use crate::crypto::{TokenKind, new_uuid};
use crate::error::Error;
use crate::model::{DeliveryState, EmailAddress, InvitationId, Name, Role};

use super::lifecycle::told_to_stop;
use super::serve::{Serve, Service};
use super::{Failure, Outcome};

#[derive(clap::Args)]
pub struct Demo {
    /// Loopback address and port to listen on; port 0 picks a free one
    #[arg(long, env = "ROLECALL_GRPC_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:50051", value_parser = socket_address)]
    grpc_listen: std::net::SocketAddr,
}

const PEOPLE: [(&str, &str, Role); 3] = [
    ("Ada Admin", "admin@acme.example", Role::Admin),
    ("Max Manager", "manager@acme.example", Role::Manager),
    ("Gil Agent", "agent@acme.example", Role::Agent),
];
const PATIENCE: Duration = Duration::from_secs(10);

impl Demo {
    pub async fn run(self) -> Outcome {
        if !self.grpc_listen.ip().is_loopback() {
            return Err(Failure::Usage("--grpc-listen: the demo listens on loopback only".to_owned()));
        }
        let private = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("rolecall-demo-").permissions(private).tempdir()?;
        let mail = folder.path().join("mail");
        let service = Service::open(config(&self, folder.path(), &mail)).await?;
        let (app, address) = (service.app.clone(), service.address);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let told = told_to_stop();
        let serving = tokio::spawn(service.serve(async move {
            tokio::select! {
                () = told => {}
                _ = stopped => {}
            }
        }));
        match populate(&app, &mail).await {
            Ok(people) => {
                print(&people, address, &mail);
                let outcome = serving.await.map_err(|error| Failure::Failed(error.to_string()))?;
                drop(stop);
                outcome
            }
            Err(failure) => {
                drop(stop);
                let _ = serving.await;
                Err(failure)
            }
        }
    }
}

fn config(demo: &Demo, folder: &Path, mail: &Path) -> Serve {
    Serve {
        database: DatabaseConfig::at(format!("sqlite://{}", folder.join("rolecall.db").display())),
        grpc: GrpcConfig::on_loopback(demo.grpc_listen),
        mail: MailConfig {
            mail_url: format!("file:{}", mail.display()),
            mail_from: "Rolecall <no-reply@localhost>".to_owned(),
            links: LinkConfig::default(),
        },
        security: SecurityConfig::default(),
        quotas: QuotaConfig::default(),
        no_migrate: false,
    }
}

/// What the printed calls need.
struct People {
    owner: SignedIn,
    password: SecretString,
    /// Admin, Manager, Agent.
    others: Vec<SignedIn>,
    service_key: SecretString,
}

/// Fills the workspace by the service's own use cases.
async fn populate(app: &App, mail: &Path) -> Result<People, Failure> {
    // New for each demo: no secret has a default.
    let random = TokenKind::KnownDevice.mint().text;
    let password = SecretString::from(random.expose_secret().replace(TokenKind::KnownDevice.prefix(), "demo-"));
    let name = Name::parse("workspace", "Acme").map_err(|v| Failure::Failed(v.text))?;
    let founding = app.bootstrap(&name, &email("owner@acme.example")?, false).await?;
    let founding =
        founding.invitation().ok_or_else(|| Failure::Failed("the demo's workspace exists already".to_owned()))?;
    let owner = accept(app, founding.token.expose_secret(), "Olga Owner", &password).await?;
    let mut others = Vec::new();
    for (name, address, role) in PEOPLE {
        let invitation = invite(app, &owner, address, role).await?;
        let token = mailed_token(app, &owner, invitation, address, mail).await?;
        others.push(accept(app, &token, name, &password).await?);
    }
    invite(app, &owner, "newcomer@acme.example", Role::Agent).await?;
    let key = CreateServiceKey {
        name: "demo".to_owned(),
        scopes: ServiceScope::ALL.to_vec(),
        workspace: None,
        expire_time: None,
    };
    let service_key = app.create_service_key(&key).await?;
    Ok(People { owner, password, others, service_key })
}

fn email(text: &str) -> Result<EmailAddress, Failure> {
    EmailAddress::parse("email", text).map_err(|violation| Failure::Failed(violation.text))
}

fn op(app: &App, caller: Caller) -> Op {
    let now = app.now();
    Op::internal(caller, new_uuid(now), now)
}

fn as_session(signed_in: &SignedIn) -> Result<Caller, Error> {
    let session = &signed_in.session;
    let token = TokenKind::Session.parse(signed_in.token.expose_secret());
    Ok(Caller::Session(SessionCaller {
        token_key: token.ok_or_else(|| Error::internal("a session's token is malformed"))?.key(),
        session_id: session.session_id,
        sign_in_id: session.sign_in_id,
        user_id: session.user_id,
        workspace_id: session.workspace_id,
        role: signed_in.member.role,
        authenticate_time: session.authenticate_time,
        expire_time: session.expire_time,
        last_used_time: session.last_used_time,
    }))
}

async fn accept(app: &App, token: &str, name: &str, password: &SecretString) -> Result<SignedIn, Failure> {
    let token =
        TokenKind::Invitation.parse(token).ok_or_else(|| Failure::Failed("the link has no token".to_owned()))?;
    let command = AcceptInvitation { token, display_name: name.to_owned(), password: password.clone() };
    Ok(app.accept_invitation(&op(app, Caller::Anyone), &command).await?)
}

async fn invite(app: &App, owner: &SignedIn, address: &str, role: Role) -> Result<InvitationId, Failure> {
    let command = CreateInvitation { email: email(address)?, role, request_id: None };
    Ok(app.create_invitation(&op(app, as_session(owner)?), &command).await?.invitation_id)
}

/// Waits for the e-mail as its reader would, and takes the token out of it.
async fn mailed_token(
    app: &App,
    owner: &SignedIn,
    id: InvitationId,
    address: &str,
    mail: &Path,
) -> Result<String, Failure> {
    let sent = async {
        loop {
            let invitation = app.get_invitation(&op(app, as_session(owner)?), id).await?;
            if invitation.delivery.is_some_and(|delivery| delivery.state == DeliveryState::Sent) {
                return Ok::<(), Error>(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, sent).await.map_err(|_| Failure::Failed("the e-mail was not sent".to_owned()))??;
    for file in std::fs::read_dir(mail)? {
        let text = std::fs::read_to_string(file?.path())?;
        if text.lines().any(|line| line == format!("To: {address}"))
            && let Some(token) = first_token(&text)
        {
            return Ok(token);
        }
    }
    Err(Failure::Failed("the e-mail is not in its folder".to_owned()))
}

fn first_token(text: &str) -> Option<String> {
    let start = text.find(TokenKind::Invitation.prefix())?;
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    Some(text[start..].chars().take_while(|c| is_token(*c)).collect())
}

fn print(people: &People, address: std::net::SocketAddr, mail: &Path) {
    let owner = people.owner.token.expose_secret();
    let key = people.service_key.expose_secret();
    let id = |index: usize| people.others.get(index).map(|p| p.member.user_id.to_string()).unwrap_or_default();
    let (manager, agent) = (id(1), id(2));
    let agent_token = people.others.get(2).map(|p| p.token.expose_secret().to_owned()).unwrap_or_default();
    let call = |comment: &str, token: &str, body: &str, method: &str| {
        println!("# {comment}");
        let body = if body.is_empty() { String::new() } else { format!(" -d '{body}'") };
        println!("grpcurl -plaintext -H 'authorization: Bearer {token}'{body} \\\n  {address} rolecall.v1.{method}\n");
    };
    println!(
        "\nWorkspace \"Acme\" with an Owner, an Admin, a Manager and an Agent (owner@, admin@, manager@, agent@acme.example)."
    );
    println!("Everybody's password is {}", people.password.expose_secret());
    println!("E-mails lie in {}", mail.display());
    println!("Everything goes when you press Ctrl-C. Until then, paste these one after the other:\n");
    println!("# What is there\ngrpcurl -plaintext {address} list\n");
    call("Who am I, and what may I do here?", owner, "", "SessionService/GetSession");
    call("Who else is here?", owner, "", "UserService/ListUsers");
    let check = format!(r#"{{"session_token": "{agent_token}", "permission": "PERMISSION_REPORTS_VIEW"}}"#);
    call(
        "Another service asks: may the Agent view reports? No, and the answer says who may.",
        key,
        &check,
        "AccessService/CheckAccess",
    );
    let promote = format!(r#"{{"user_id": "{agent}", "role": "ROLE_MANAGER"}}"#);
    call("Make the Agent a Manager.", owner, &promote, "UserService/ChangeUserRole");
    call("The very next check says yes.", key, &check, "AccessService/CheckAccess");
    let remove = format!(r#"{{"user_id": "{agent}"}}"#);
    call("Remove them. Their sessions are gone with it.", owner, &remove, "UserService/RemoveUser");
    call("The same token is worth nothing now.", key, &check, "AccessService/CheckAccess");
    let invite = r#"{"email": "colleague@acme.example", "role": "ROLE_ADMIN"}"#;
    call(
        "Invite somebody; the e-mail is in the folder a moment later.",
        owner,
        invite,
        "InvitationService/CreateInvitation",
    );
    call("Whom have we invited?", owner, "", "InvitationService/ListInvitations");
    let about = format!(r#"{{"target_user_id": "{manager}"}}"#);
    call("What happened to the Manager so far?", owner, &about, "AuditService/ListAuditEvents");
    call("And all in all?", owner, "", "AuditService/ListAuditEvents");
}
