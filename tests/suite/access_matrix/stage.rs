//! The people, keys and things that the matrix is about. Built once, and made anew from the frozen database whenever a
//! cell has changed something.

use std::time::Duration;

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::{EmailAddress, Role, WorkspaceId, parse_uuid};
use secrecy::ExposeSecret;

use crate::support::{As, Frozen, PASSWORD, Person, World};

/// Ids that nothing has.
pub const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";
pub const UNKNOWN_V7: &str = "019b76da-a800-7000-8000-000000000000";

/// Who calls. What the table calls them is [`Caller::name`].
#[derive(Clone)]
pub struct Caller {
    pub name: &'static str,
    pub token: Option<String>,
    /// Who it is, for what is about oneself.
    pub person: Option<Person>,
    pub names: Names,
    /// In whose place the key without a scope comes; its token depends on the row.
    pub without_scope: bool,
}

/// The workspace that a caller names by metadata.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Names {
    Nothing,
    /// The one that the row is about.
    ThisOne,
    Unknown,
}

/// An invitation with its link, if one was mailed.
#[derive(Clone)]
pub struct Sent {
    pub id: String,
    pub token: String,
}

/// Everything that rows speak of. The workspace that the matrix is about is Acme.
pub struct Stage {
    frozen: Frozen,
    pub callers: Vec<Caller>,
    keys_without: Vec<(ServiceScope, String)>,
    pub acme: String,
    /// Gamma is another workspace; nobody of Acme is a member.
    pub gamma: String,
    /// Delta is another workspace of everybody who calls by a session.
    pub delta: String,
    /// A workspace that has not had an Owner yet.
    pub unfounded: String,
    pub agent: Person,
    pub admin: Person,
    pub owner: Person,
    /// Was an Owner of Acme, and is removed.
    pub gone: Person,
    /// The Owner of Gamma.
    pub stranger: Person,
    /// Callers' sessions in Delta, by user id.
    elsewhere: Vec<Person>,
    pub pending: Sent,
    pub pending_owner: Sent,
    pub pending_known: Sent,
    pub expired: Sent,
    pub canceled: Sent,
    pub accepted: Sent,
    pub foreign: Sent,
    pub founding: Sent,
    pub handed_over: Sent,
}

impl Stage {
    pub async fn world(&self) -> World {
        self.frozen.thaw().await
    }

    /// What a caller of a row sends. `lacking` is what the key without the scope lacks.
    pub fn clients(&self, world: &World, caller: &Caller, place: &str, lacking: Option<ServiceScope>) -> As {
        let token = match (caller.without_scope, lacking) {
            (true, Some(lacking)) => {
                let (_, token) = self.keys_without.iter().find(|(scope, _)| *scope == lacking).unwrap();
                Some(token)
            }
            _ => caller.token.as_ref(),
        };
        let clients = token.map_or_else(|| world.nobody(), |token| world.with_token(token));
        match caller.names {
            Names::Nothing => clients,
            Names::ThisOne => clients.in_workspace(place),
            Names::Unknown => clients.in_workspace(UNKNOWN_V7),
        }
    }

    pub fn caller(&self, name: &str) -> &Caller {
        self.callers.iter().find(|caller| caller.name == name).unwrap()
    }

    /// Another sign-in of somebody's, in Delta.
    pub fn elsewhere_of(&self, person: &Person) -> Option<&Person> {
        self.elsewhere.iter().find(|other| other.user_id == person.user_id)
    }

    pub async fn build() -> Self {
        let world = World::start().await;
        let first = world.workspace("Acme", "owner@acme.example").await;
        let expired = invite(&world, &first, "late@new.example", Role::Agent).await;
        // Past the invitation's life, and past the session's.
        world.clock.advance(Duration::from_secs(8 * 24 * 3600));
        let stale = world.sign_in("owner@acme.example").await;
        world.clock.advance(Duration::from_secs(11 * 60));
        let owner = world.sign_in("owner@acme.example").await;

        let join = async |email: &str, role: Role| world.join(&owner, email, role).await;
        let manager = join("manager@acme.example", Role::Manager).await;
        let admin = join("admin@acme.example", Role::Admin).await;
        let target_admin = join("target-admin@acme.example", Role::Admin).await;
        let target_owner = join("target-owner@acme.example", Role::Owner).await;
        let target_agent = join("target-agent@acme.example", Role::Agent).await;
        let gone = join("gone@acme.example", Role::Owner).await;
        let request = v1::RemoveUserRequest { user_id: gone.user_id.clone() };
        world.by(&owner).users().remove_user(request).await.unwrap();
        let signed_out = world.sign_in("owner@acme.example").await;
        world.by(&signed_out).sessions().sign_out(v1::SignOutRequest {}).await.unwrap();
        let accepted = invite(&world, &owner, "agent@acme.example", Role::Agent).await;
        let agent = world.accept(&accepted.token, "Agnes Agent").await;

        let owner_of_beta = world.workspace("Beta", "owner@beta.example").await;
        let stranger = world.workspace("Gamma", "owner@gamma.example").await;
        let hostess = world.workspace("Delta", "owner@delta.example").await;
        // Mail of one moment has no order, and these people get a second one.
        world.tick();
        let mut elsewhere = Vec::new();
        for person in [&agent, &manager, &admin, &owner, &owner_of_beta] {
            let there = world.join(&hostess, &person.email, Role::Agent).await;
            assert_eq!(there.workspace_id, hostess.workspace_id);
            elsewhere.push(there);
        }

        world.tick();
        let pending = invite(&world, &admin, "pending@new.example", Role::Agent).await;
        let pending_owner = invite(&world, &owner, "pending-owner@new.example", Role::Owner).await;
        let pending_known = invite(&world, &admin, "owner@gamma.example", Role::Agent).await;
        let foreign = invite(&world, &stranger, "pending@new.example", Role::Agent).await;
        let canceled = invite(&world, &admin, "canceled@new.example", Role::Agent).await;
        let request = v1::CancelInvitationRequest { invitation_id: canceled.id.clone() };
        world.by(&admin).invitations().cancel_invitation(request).await.unwrap();

        let keys = keys(&world, &first.workspace_id, &owner_of_beta.workspace_id).await;
        let (unfounded, founding, handed_over) = unfounded(&world, &keys.full).await;
        Self {
            callers: callers(
                [("signed out", &signed_out), ("removed", &gone), ("Agent", &agent), ("Manager", &manager)]
                    .into_iter()
                    .chain([("Admin", &admin), ("Owner", &owner), ("Owner, stale", &stale)])
                    .chain([("Owner of Beta", &owner_of_beta)]),
                &keys,
            ),
            frozen: world.freeze().await,
            keys_without: keys.without,
            acme: owner.workspace_id.clone(),
            gamma: stranger.workspace_id.clone(),
            delta: hostess.workspace_id,
            unfounded,
            agent: target_agent,
            admin: target_admin,
            owner: target_owner,
            gone,
            stranger,
            elsewhere,
            pending,
            pending_owner,
            pending_known,
            expired,
            canceled,
            accepted,
            foreign,
            founding,
            handed_over,
        }
    }
}

struct Keys {
    full: String,
    bound_to_acme: String,
    bound_to_beta: String,
    revoked: String,
    without: Vec<(ServiceScope, String)>,
}

async fn keys(world: &World, acme: &str, beta: &str) -> Keys {
    let all = ServiceScope::ALL;
    let revoked = world.service_key("revoked", all, None).await;
    assert!(world.app.revoke_service_key("revoked").await.unwrap());
    let mut without = Vec::new();
    for lacking in all {
        let rest: Vec<_> = all.iter().copied().filter(|scope| scope != lacking).collect();
        without.push((*lacking, world.service_key(&format!("without-{}", lacking.name()), &rest, None).await));
    }
    Keys {
        full: world.service_key("full", all, None).await,
        bound_to_acme: world.service_key("acme", all, Some(acme)).await,
        bound_to_beta: world.service_key("beta", all, Some(beta)).await,
        revoked,
        without,
    }
}

/// A workspace that nobody has joined yet, its founding invitation, and one that the operator handed over.
async fn unfounded(world: &World, key: &str) -> (String, Sent, Sent) {
    let request = v1::CreateWorkspaceRequest {
        name: "Omega".into(),
        owner_email: "founder@new.example".into(),
        ..Default::default()
    };
    let made = world.with_token(key).workspaces().create_workspace(request).await.unwrap().into_inner();
    let id = made.workspace.unwrap().workspace_id;
    world.deliver().await;
    let token = world.mail_to("founder@new.example").last().unwrap().token();
    let founding = Sent { id: made.invitation.unwrap().invitation_id, token };
    let workspace = WorkspaceId::new(parse_uuid(&id).unwrap());
    let email = EmailAddress::parse("email", "second-founder@new.example").unwrap();
    let handed_over = world.app.invite_owner(workspace, &email).await.unwrap();
    let token = handed_over.token.expose_secret().to_owned();
    (id, founding, Sent { id: handed_over.invitation_id.to_string(), token })
}

async fn invite(world: &World, inviter: &Person, email: &str, role: Role) -> Sent {
    let token = world.invite(inviter, email, role).await;
    let list = v1::ListInvitationsRequest { page_size: 200, ..Default::default() };
    let list = world.by(inviter).invitations().list_invitations(list).await.unwrap().into_inner().invitations;
    let id = list.into_iter().find(|invitation| invitation.email == email).unwrap().invitation_id;
    Sent { id, token }
}

fn callers<'a>(people: impl Iterator<Item = (&'static str, &'a Person)>, keys: &Keys) -> Vec<Caller> {
    let nobody = Caller { name: "nobody", token: None, person: None, names: Names::Nothing, without_scope: false };
    let token = |name, token: &str, names| Caller { name, token: Some(token.to_owned()), names, ..nobody.clone() };
    let person = |(name, person): (&'static str, &Person)| Caller {
        person: Some(person.clone()),
        ..token(name, &person.token, Names::Nothing)
    };
    let key = |name, of: &str, names| token(name, of, names);
    let mut callers = vec![nobody.clone(), token("garbage", "garbage", Names::Nothing)];
    callers.extend(people.map(person));
    callers.extend([
        key("revoked key", &keys.revoked, Names::ThisOne),
        Caller { without_scope: true, ..key("key without scope", &keys.full, Names::ThisOne) },
        key("key", &keys.full, Names::ThisOne),
        key("key, bound", &keys.bound_to_acme, Names::Nothing),
        key("key, naming none", &keys.full, Names::Nothing),
        key("key, naming unknown", &keys.full, Names::Unknown),
        key("key of Beta, naming it", &keys.bound_to_beta, Names::ThisOne),
        key("key of Beta", &keys.bound_to_beta, Names::Nothing),
    ]);
    callers
}

/// The password of everybody.
pub fn password() -> String {
    PASSWORD.to_owned()
}
