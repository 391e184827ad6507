//! Plays a sequence on the service and on the model, side by side.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use rolecall::authz::ServiceScope;
use rolecall::clock::Timestamp;
use rolecall::grpc::pb::v1::{AuditAction, InvitationState, Role};
use rolecall::model::{AuditFilter, PageRequest, UserId, WorkspaceId, parse_uuid};
use rolecall::store::{InvitationFilter, MemberFilter};

use super::action::{Action, By, Call, EMAILS, Edge, Naming, Password, Pick};
use super::state::{Answer, Caller, DAY, Key, Link, MINUTE, Made, Model, No, Owner, Place, Workspace};
use super::{service, words};
use crate::support::{Mail, World};

/// Calls between two comparisons of the whole state.
const CALLS_BETWEEN_STATES: usize = 16;

pub struct Play {
    world: World,
    model: Model,
    mails: BTreeSet<PathBuf>,
    calls: usize,
}

/// What went apart, if anything did.
pub async fn play(actions: &[Action]) -> Result<(), String> {
    let mut play = Play::begin().await;
    for (step, action) in actions.iter().enumerate() {
        play.act(action).await.map_err(|apart| format!("step {step}, {action:?}: {apart}"))?;
    }
    play.compare_state().await?;
    play.world.stop().await;
    Ok(())
}

impl Play {
    /// Two workspaces that an operator founded, with their Owners, and the keys of services.
    async fn begin() -> Self {
        let world = World::start().await;
        let mut play = Self { world, model: Model::default(), mails: BTreeSet::new(), calls: 0 };
        for (index, name) in ["North", "South"].into_iter().enumerate() {
            play.found(index, name).await;
        }
        use ServiceScope::{CheckAccess, CheckUserAccess, ProvisionWorkspaces, ReadAudit, ReadUsers};
        let all: &[ServiceScope] = &[CheckAccess, CheckUserAccess, ReadUsers, ReadAudit, ProvisionWorkspaces];
        for (name, scopes, bound) in [
            ("all", all, None),
            ("provisioning", &[ProvisionWorkspaces][..], None),
            ("bound", all, Some(0)),
            ("checking", &[CheckAccess][..], None),
            ("auditing", &[ReadAudit][..], Some(1)),
        ] {
            let workspace = bound.map(|index: usize| play.model.workspaces[index].id.clone());
            let token = play.world.service_key(name, scopes, workspace.as_deref()).await;
            let scopes = scopes.iter().map(|scope| scope.name()).collect();
            play.model.keys.push(Key { token, scopes, workspace: bound });
            if let Some(workspace) = bound {
                play.model.note(workspace, AuditAction::ServiceKeyCreated);
            }
        }
        play
    }

    async fn found(&mut self, index: usize, name: &str) {
        self.model.now = self.world.clock.now().as_micros();
        let parsed = rolecall::model::Name::parse("name", name).unwrap();
        let email = rolecall::model::EmailAddress::parse("email", EMAILS[index]).unwrap();
        let founded = self.world.app.bootstrap(&parsed, &email, false).await.unwrap().invitation().unwrap();
        let (now, model) = (self.model.now, &mut self.model);
        model.workspaces.push(Workspace { id: founded.workspace_id.to_string(), name: name.into(), founded: false });
        model.invitations.push(super::state::Invitation {
            id: founded.invitation_id.to_string(),
            workspace: index,
            email: index,
            role: Role::Owner,
            sender: None,
            created: now,
            expires: now + 7 * DAY,
            accepted: None,
            canceled: false,
            replaced: false,
            issue: 1,
            founding: true,
            sent: None,
        });
        let token = secrecy::ExposeSecret::expose_secret(&founded.token).to_owned();
        model.links.push(Link { token, invitation: index, issue: 1 });
        model.note(index, AuditAction::WorkspaceCreated);
        model.note(index, AuditAction::OwnerInvited);
        let accept = Call::AcceptInvitation { link: Pick::Exactly(index), name: index, password: Password::Right };
        self.call(By::Nobody, Naming::Nothing, &accept).await.unwrap();
    }

    async fn act(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Wait(seconds) => self.world.clock.advance(Duration::from_secs(*seconds)),
            Action::Call(by, naming, call) => {
                self.sign_somebody_in(*by).await?;
                self.call(*by, *naming, call).await?;
            }
            Action::Edge { edge, pick, before } => {
                self.model.now = self.world.clock.now().as_micros();
                let Some((at, by, call)) = self.edge(*edge, *pick) else {
                    return Ok(());
                };
                let at = at - i64::from(*before);
                if at > self.model.now {
                    self.world.clock.set(Timestamp::from_micros(at));
                    return self.call(by, Naming::Nothing, &call).await.map_err(|apart| format!("{call:?}: {apart}"));
                }
            }
        }
        Ok(())
    }

    /// After a long wait nobody is signed in. So that the sequence is not for nothing, somebody who can do something is.
    async fn sign_somebody_in(&mut self, by: By) -> Result<(), String> {
        let (By::Strong(pick) | By::Live(pick)) = by else {
            return Ok(());
        };
        self.model.now = self.world.clock.now().as_micros();
        let model = &self.model;
        if (0..model.sessions.len()).any(|s| model.is_live(s) && model.role_of_session(s) >= Role::Admin) {
            return Ok(());
        }
        let able: Vec<_> =
            model.members.iter().filter(|member| member.removed.is_none() && member.role >= Role::Admin).collect();
        let member = able[pick % able.len()];
        let (email, workspace) = (model.people[member.person].email, Some(Pick::Exactly(member.workspace)));
        let call = Call::SignIn { email, password: Password::Right, workspace };
        self.call(By::Nobody, Naming::Nothing, &call).await
    }

    /// The moment of an edge, and the call that shows it.
    fn edge(&self, edge: Edge, pick: usize) -> Option<(i64, By, Call)> {
        let model = &self.model;
        let one_of = |found: Vec<usize>| Pick::Some(pick).of(found.len()).map(|index| found[index]);
        let live = || (0..model.sessions.len()).filter(|session| model.is_live(*session));
        let newest_link =
            |invitation: usize| model.links.iter().rposition(|link| link.invitation == invitation).map(Pick::Exactly);
        let in_state = |state: InvitationState| {
            let has = |index: &usize| model.invitation_state(*index) == state;
            one_of((0..model.invitations.len()).filter(has).collect())
        };
        let accept = |link| Call::AcceptInvitation { link, name: 0, password: Password::Right };
        match edge {
            Edge::Invitation { accept: by_accept } => {
                let invitation = in_state(InvitationState::Pending)?;
                let link = newest_link(invitation)?;
                let call = if by_accept { accept(link) } else { Call::PreviewInvitation { link } };
                Some((model.invitations[invitation].expires, By::Nobody, call))
            }
            Edge::Idle => {
                let session = one_of(live().collect())?;
                Some((model.sessions[session].used + DAY, By::Exactly(session), Call::GetSession))
            }
            Edge::Lifetime => {
                let nearly =
                    |session: &usize| model.sign_ins[model.sessions[*session].sign_in].expires - model.now < DAY;
                let session = one_of(live().filter(nearly).collect())?;
                let at = model.sign_ins[model.sessions[session].sign_in].expires;
                Some((at, By::Exactly(session), Call::GetSession))
            }
            Edge::Fresh { invite } => {
                let session = one_of(live().filter(|s| model.role_of_session(*s) == Role::Owner).collect())?;
                let call = if invite {
                    Call::CreateInvitation { email: pick % EMAILS.len(), role: Role::Owner as i32, request: None }
                } else {
                    Call::ChangeUserRole { person: Pick::Some(pick / 7), role: Role::Owner as i32 }
                };
                let at = model.sign_ins[model.sessions[session].sign_in].proved + 10 * MINUTE;
                Some((at, By::Exactly(session), call))
            }
            Edge::Repeat => {
                let invitation = in_state(InvitationState::Accepted)?;
                let (at, _) = model.invitations[invitation].accepted?;
                Some((at + DAY, By::Nobody, accept(newest_link(invitation)?)))
            }
            Edge::Request => {
                let created = |index: &usize| model.requests[*index].method == "CreateInvitation";
                let request = &model.requests[one_of((0..model.requests.len()).filter(created).collect())?];
                let Owner::Workspace(workspace) = request.owner else { return None };
                let strong =
                    |s: &usize| model.sessions[*s].workspace == workspace && model.role_of_session(*s) >= Role::Admin;
                let (email, role) = (usize::try_from(request.fields[0]).ok()?, i32::try_from(request.fields[1]).ok()?);
                let call = Call::CreateInvitation { email, role, request: Some(request.id) };
                Some((request.at + DAY, By::Exactly(one_of(live().filter(strong).collect())?), call))
            }
        }
    }

    async fn call(&mut self, by: By, naming: Naming, call: &Call) -> Result<(), String> {
        self.model.now = self.world.clock.now().as_micros();
        let (caller, named) = (self.model.caller(by), self.model.named(naming));
        let real = service::call(&self.world, &self.model, caller, named, call).await;
        let (real, made) = match real {
            Ok((said, made)) => (Ok(said), made),
            Err(refused) => (Err(refused), Made::default()),
        };
        let expected = self.expect(caller, named, call, &made);
        match (&expected, &real) {
            (Ok(expected), Ok(real)) if expected == real => {}
            (Err(No { reason, metadata }), Err(real)) => {
                let same = *reason == real.reason && *metadata == real.metadata.clone().into_iter().collect();
                if !same || code_of(reason) != Some(real.code) {
                    return Err(format!("{caller:?} {named:?}: the contract says {expected:?}, it was {real:?}"));
                }
            }
            _ => return Err(format!("{caller:?} {named:?}:\n the contract says {expected:#?},\n it was {real:#?}")),
        }
        self.read_mail().await?;
        self.world.app.record_use().await.unwrap();
        // So that no two things happen at once.
        self.world.clock.advance(Duration::from_millis(1));
        self.calls += 1;
        if self.calls.is_multiple_of(CALLS_BETWEEN_STATES) { self.compare_state().await } else { Ok(()) }
    }

    fn expect(&mut self, caller: Caller, named: Place, call: &Call, made: &Made) -> Answer {
        let model = &mut self.model;
        match call.clone() {
            Call::CreateInvitation { email, role, request } => {
                model.create_invitation(caller, named, (email, role, request), made)
            }
            Call::ResendInvitation { invitation, request } => {
                model.resend_invitation(caller, named, invitation, request)
            }
            Call::CancelInvitation { invitation } => model.cancel_invitation(caller, named, invitation),
            Call::GetInvitation { invitation } => model.get_invitation(caller, named, invitation),
            Call::ListInvitations { states, .. } => model.list_invitations(caller, named, &states),
            Call::PreviewInvitation { link } => model.preview_invitation(link),
            Call::AcceptInvitation { link, name, password } => model.accept_invitation(link, name, password, made),
            Call::ListUsers { include_removed, .. } => model.list_users(caller, named, include_removed),
            Call::GetUser { person } => model.get_user(caller, named, person),
            Call::ChangeUserRole { person, role } => model.change_user_role(caller, named, person, role),
            Call::RemoveUser { person } => model.remove_user(caller, named, person),
            Call::LeaveWorkspace => model.leave_workspace(caller, named),
            Call::UpdateProfile { name } => model.update_profile(caller, named, name),
            Call::SignIn { email, password, workspace } => model.sign_in((email, password, workspace), made),
            Call::SwitchWorkspace { workspace } => model.switch_workspace(caller, named, workspace, made),
            Call::GetSession => model.get_session(caller, named),
            Call::ListSessions { .. } => model.list_sessions(caller, named),
            Call::RevokeSession { session } => model.revoke_session(caller, named, session),
            Call::RevokeOtherSessions => model.revoke_other_sessions(caller, named),
            Call::SignOut => model.sign_out(caller, named),
            Call::Reauthenticate { password } => model.reauthenticate(caller, named, password),
            Call::CheckAccess { subject, requirement } => model.check_access(caller, named, subject, requirement),
            Call::UpdateWorkspace { name } => model.update_workspace(caller, named, name),
            Call::CreateWorkspace { name, email, request } => {
                model.create_workspace(caller, named, (name, email, request), made)
            }
        }
    }

    /// Sends the mail. It is exactly what the model has queued, and its links are the model's from now on.
    async fn read_mail(&mut self) -> Result<(), String> {
        let queued = |invitation: &super::state::Invitation| invitation.sent == Some(false);
        let waiting = self.model.invitations.iter().position(queued);
        self.world.deliver().await;
        let mut arrived = Vec::new();
        for file in std::fs::read_dir(self.world.folder().join("mail")).into_iter().flatten() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "eml") && self.mails.insert(path.clone()) {
                arrived.push(Mail::parse(&std::fs::read(path).unwrap()));
            }
        }
        match (waiting, arrived.as_slice()) {
            (None, []) => Ok(()),
            (Some(index), [mail]) if mail.to == EMAILS[self.model.invitations[index].email] => {
                let invitation = &mut self.model.invitations[index];
                invitation.sent = Some(true);
                let issue = invitation.issue;
                self.model.links.push(Link { token: mail.token(), invitation: index, issue });
                Ok(())
            }
            _ => Err(format!("invitation {waiting:?} is to be mailed, and {arrived:?} was")),
        }
    }

    /// Everything that the service remembers, against everything that it should.
    async fn compare_state(&mut self) -> Result<(), String> {
        let model = &mut self.model;
        model.now = self.world.clock.now().as_micros();
        self.world.app.record_refusals(true).await.unwrap();
        let (store, now) = (&self.world.store, self.world.clock.now());
        let all = PageRequest { size: 100_000, after: None };
        let mut real = Vec::new();
        let mut expected = Vec::new();
        for (index, workspace) in model.workspaces.iter().enumerate() {
            let id = WorkspaceId::new(parse_uuid(&workspace.id).unwrap());
            let found = store.workspace(id).await.unwrap();
            real.push(format!(
                "{} has {} Owners, founded {}",
                found.name,
                found.owner_count,
                found.found_time.is_some()
            ));
            let owners = model.owners(index);
            expected.push(format!("{} has {owners} Owners, founded {}", workspace.name, workspace.founded));
            let everybody = MemberFilter { include_removed: true, ..MemberFilter::default() };
            for member in store.members(id, &everybody, &all).await.unwrap().rows {
                let (name, role) = (member.display_name, member.role.name());
                real.push(format!("{} {name} {role} {:?}", member.user_id, member.state));
            }
            let mut members: Vec<usize> =
                (0..model.members.len()).filter(|member| model.members[*member].workspace == index).collect();
            members.sort_by_key(|member| EMAILS[model.people[model.members[*member].person].email]);
            for member in members {
                let it = &model.members[member];
                let (id, role) = (&model.people[it.person].id, super::state::word(it.role));
                expected.push(format!("{id} {} {role} {:?}", it.name, model.user_state(member)));
            }
            let states = [
                rolecall::model::InvitationState::Pending,
                rolecall::model::InvitationState::Expired,
                rolecall::model::InvitationState::Accepted,
                rolecall::model::InvitationState::Canceled,
            ];
            let filter = InvitationFilter { states: states.to_vec() };
            for invitation in store.invitations(id, &filter, now, &all).await.unwrap().rows {
                real.push(words::stored_invitation(&invitation, now));
            }
            let mine = |invitation: &usize| model.invitations[*invitation].workspace == index;
            expected.extend(
                (0..model.invitations.len()).rev().filter(mine).map(|invitation| words::invitation(model, invitation)),
            );
            let mut counts: BTreeMap<AuditAction, i64> = BTreeMap::new();
            for event in store.audit_events(id, &AuditFilter::default(), &all).await.unwrap().rows {
                let action = AuditAction::try_from(event.action.number()).unwrap();
                *counts.entry(action).or_default() += i64::from(event.repeat_count);
            }
            real.push(format!("{counts:?}"));
            let counts: BTreeMap<AuditAction, i64> = model
                .audit
                .iter()
                .filter(|((workspace, _), _)| *workspace == index)
                .map(|((_, action), count)| (*action, *count))
                .collect();
            expected.push(format!("{counts:?}"));
        }
        let lifetime = rolecall::model::SessionLifetime {
            idle: Duration::from_secs(24 * 60 * 60),
            absolute: Duration::from_secs(14 * 24 * 60 * 60),
        };
        for (index, person) in model.people.iter().enumerate() {
            let id = UserId::new(parse_uuid(&person.id).unwrap());
            let live = store.live_sessions_of(id, lifetime, now, &all).await.unwrap().rows;
            real.extend(live.iter().map(|it| format!("{} {}", it.session_id, it.last_used_time.as_micros())));
            let mine = |session: &usize| model.sessions[*session].person == index && model.is_live(*session);
            let said = |session: usize| format!("{} {}", model.sessions[session].id, model.sessions[session].used);
            expected.extend((0..model.sessions.len()).rev().filter(mine).map(said));
        }
        if real == expected {
            return Ok(());
        }
        let apart: Vec<_> = real.iter().filter(|line| !expected.contains(line)).collect();
        let missing: Vec<_> = expected.iter().filter(|line| !real.contains(line)).collect();
        Err(format!("the states went apart: the service has {apart:#?}\nand should have {missing:#?}"))
    }
}

/// Section 4: the code of a reason.
fn code_of(reason: &str) -> Option<tonic::Code> {
    use tonic::Code;
    Some(match reason {
        "CREDENTIAL_MISSING" | "SESSION_ENDED" | "SERVICE_KEY_INVALID" | "INVALID_CREDENTIALS" => Code::Unauthenticated,
        "ROLE_TOO_LOW" | "SCOPE_MISSING" | "SESSION_REQUIRED" | "OWNER_REQUIRED" | "NOT_A_MEMBER"
        | "PASSWORD_WRONG" => Code::PermissionDenied,
        "USER_NOT_FOUND" | "INVITATION_NOT_FOUND" | "SESSION_NOT_FOUND" | "WORKSPACE_NOT_FOUND" => Code::NotFound,
        "ALREADY_MEMBER" | "INVITATION_PENDING" => Code::AlreadyExists,
        "LAST_OWNER"
        | "USER_REMOVED"
        | "REAUTHENTICATION_REQUIRED"
        | "WORKSPACE_MISMATCH"
        | "WORKSPACE_FOUNDED"
        | "INVITATION_EXPIRED"
        | "INVITATION_CANCELED"
        | "INVITATION_ACCEPTED"
        | "INVITATION_SUPERSEDED"
        | "INVITER_NOT_ENTITLED" => Code::FailedPrecondition,
        "FIELD_INVALID" | "WORKSPACE_REQUIRED" | "REQUEST_ID_REUSED" => Code::InvalidArgument,
        _ => return None,
    })
}
