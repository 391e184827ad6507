//! The same calls, made to the service.

use rolecall::grpc::pb::v1;
use tonic::{Response, Status};

use v1::check_access_request as check;

use super::action::{Call, EMAILS, NAMES, Password, Pick, REQUESTS, Requirement, Subject, UNKNOWN};
use super::state::{Caller, Made, Model, PASSWORDS, Place};
use super::words;
use crate::support::{As, Refused, World};

type Said = Result<(Vec<String>, Made), Refused>;

/// The token of no invitation, though it has the form of one.
const NO_LINK: &str = "rci_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const NO_SESSION: &str = "rcs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const NO_KEY: &str = "rck_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn client(world: &World, model: &Model, caller: Caller, named: Place) -> As {
    let me = match caller {
        Caller::Nobody => world.nobody(),
        Caller::Stranger => world.with_token(NO_SESSION),
        Caller::BadKey => world.with_token(NO_KEY),
        Caller::Key(key) => world.with_token(&model.keys[key].token),
        Caller::Session(session) => world.with_token(&model.sessions[session].token),
    };
    match named {
        Place::Unsaid => me,
        Place::Unknown => me.in_workspace(UNKNOWN),
        Place::At(workspace) => me.in_workspace(&model.workspaces[workspace].id),
    }
}

/// Takes an answer apart, or a refusal.
fn read<T>(answer: Result<Response<T>, Status>, words: impl FnOnce(T) -> (Vec<String>, Made)) -> Said {
    match answer {
        Ok(answer) => Ok(words(answer.into_inner())),
        Err(status) => Err(Refused::from_status(&status)),
    }
}

fn nothing_made(said: Vec<String>) -> (Vec<String>, Made) {
    (said, Made::default())
}

fn one_invitation(it: Option<v1::Invitation>) -> (Vec<String>, Made) {
    let it = it.expect("an invitation");
    (vec![words::said_invitation(&it)], Made { invitation: it.invitation_id, ..Made::default() })
}

fn begun(token: String, session: Option<v1::Session>, user: Option<v1::User>) -> (Vec<String>, Made) {
    let session = session.expect("a session");
    let mut said = vec![words::said_session(&session)];
    said.extend(user.as_ref().map(words::said_user));
    let (user, sign_in) = (session.user_id, session.sign_in_id);
    (said, Made { user, session: session.session_id, sign_in, token, ..Made::default() })
}

fn canceled(mut said: Vec<String>, invitations: &[v1::Invitation]) -> (Vec<String>, Made) {
    let mut canceled: Vec<String> = invitations.iter().map(words::said_invitation).collect();
    canceled.sort();
    said.extend(canceled);
    nothing_made(said)
}

/// Reads a list page by page.
macro_rules! pages {
    ($client:expr, $method:ident, $request:expr, $rows:ident, $words:path) => {{
        let mut said = Vec::new();
        let mut request = $request;
        loop {
            match $client.$method(request.clone()).await {
                Err(status) => break Err(Refused::from_status(&status)),
                Ok(answer) => {
                    let answer = answer.into_inner();
                    said.extend(answer.$rows.iter().map($words));
                    if answer.next_page_token.is_empty() {
                        break Ok(nothing_made(said));
                    }
                    request.page_token = answer.next_page_token;
                }
            }
        }
    }};
}

pub async fn call(world: &World, model: &Model, caller: Caller, named: Place, call: &Call) -> Said {
    let me = client(world, model, caller, named);
    let id = |id: Option<&String>| id.map_or(UNKNOWN.to_owned(), Clone::clone);
    let invitation_id = |pick: Pick| id(pick.of(model.invitations.len()).map(|index| &model.invitations[index].id));
    let user_id = |pick: Pick| id(pick.of(model.people.len()).map(|index| &model.people[index].id));
    let session_id = |pick: Pick| id(pick.of(model.sessions.len()).map(|index| &model.sessions[index].id));
    let workspace_id = |pick: Pick| id(pick.of(model.workspaces.len()).map(|index| &model.workspaces[index].id));
    let link =
        |pick: Pick| pick.of(model.links.len()).map_or(NO_LINK.to_owned(), |index| model.links[index].token.clone());
    let request_id = |request: Option<usize>| request.map(|index| REQUESTS[index].to_owned()).unwrap_or_default();
    let typed = |email: usize, password: Password| PASSWORDS[model.typed(model.account(email), password)].to_owned();
    match call.clone() {
        Call::CreateInvitation { email, role, request } => {
            // Addresses are compared in lower case.
            let email = if role % 2 == 0 { EMAILS[email].to_uppercase() } else { EMAILS[email].to_owned() };
            let request = v1::CreateInvitationRequest { email, role, request_id: request_id(request) };
            read(me.invitations().create_invitation(request).await, |it| one_invitation(it.invitation))
        }
        Call::ResendInvitation { invitation, request } => {
            let (invitation_id, request_id) = (invitation_id(invitation), request_id(request));
            let request = v1::ResendInvitationRequest { invitation_id, request_id };
            read(me.invitations().resend_invitation(request).await, |it| one_invitation(it.invitation))
        }
        Call::CancelInvitation { invitation } => {
            let request = v1::CancelInvitationRequest { invitation_id: invitation_id(invitation) };
            read(me.invitations().cancel_invitation(request).await, |it| one_invitation(it.invitation))
        }
        Call::GetInvitation { invitation } => {
            let request = v1::GetInvitationRequest { invitation_id: invitation_id(invitation) };
            read(me.invitations().get_invitation(request).await, |it| one_invitation(it.invitation))
        }
        Call::ListInvitations { states, page } => {
            let request = v1::ListInvitationsRequest { page_size: page, page_token: String::new(), states };
            pages!(me.invitations(), list_invitations, request, invitations, words::said_invitation)
        }
        Call::PreviewInvitation { link: pick } => {
            let request = v1::PreviewInvitationRequest { invitation_token: link(pick) };
            read(me.invitations().preview_invitation(request).await, |it| nothing_made(words::said_preview(&it)))
        }
        Call::AcceptInvitation { link: pick, name, password } => {
            let email = pick.of(model.links.len()).map(|link| model.invitations[model.links[link].invitation].email);
            let request = v1::AcceptInvitationRequest {
                invitation_token: link(pick),
                display_name: NAMES[name].into(),
                password: typed(email.unwrap_or_default(), password),
            };
            let answer = me.invitations().accept_invitation(request).await;
            read(answer, |it| begun(it.session_token, it.session, it.user))
        }
        Call::ListUsers { include_removed, page } => {
            let request = v1::ListUsersRequest { page_size: page, include_removed, ..Default::default() };
            pages!(me.users(), list_users, request, users, words::said_user)
        }
        Call::GetUser { person } => {
            let request = v1::GetUserRequest { user_id: user_id(person) };
            let said = |it: v1::GetUserResponse| nothing_made(it.user.iter().map(words::said_user).collect());
            read(me.users().get_user(request).await, said)
        }
        Call::ChangeUserRole { person, role } => {
            let request = v1::ChangeUserRoleRequest { user_id: user_id(person), role };
            read(me.users().change_user_role(request).await, |it| {
                canceled(it.user.iter().map(words::said_user).collect(), &it.canceled_invitations)
            })
        }
        Call::RemoveUser { person } => {
            let request = v1::RemoveUserRequest { user_id: user_id(person) };
            read(me.users().remove_user(request).await, |it| {
                let mut said: Vec<String> = it.user.iter().map(words::said_user).collect();
                said.push(format!("{} sessions ended", it.ended_session_count));
                canceled(said, &it.canceled_invitations)
            })
        }
        Call::LeaveWorkspace => read(me.users().leave_workspace(v1::LeaveWorkspaceRequest {}).await, |it| {
            canceled(vec![format!("{} sessions ended", it.ended_session_count)], &it.canceled_invitations)
        }),
        Call::UpdateProfile { name } => {
            let request = v1::UpdateProfileRequest { display_name: name.map(|name| NAMES[name].into()) };
            let said = |it: v1::UpdateProfileResponse| nothing_made(it.user.iter().map(words::said_user).collect());
            read(me.users().update_profile(request).await, said)
        }
        Call::SignIn { email, password, workspace } => {
            let request = v1::SignInRequest {
                email: EMAILS[email].into(),
                password: typed(email, password),
                workspace_id: workspace.map(workspace_id).unwrap_or_default(),
                device_token: String::new(),
            };
            read(me.sessions().sign_in(request).await, |it| {
                let (mut said, made) = begun(it.session_token, it.session, it.user);
                said.extend(it.workspace.as_ref().map(words::said_membership));
                (said, made)
            })
        }
        Call::SwitchWorkspace { workspace } => {
            let request = v1::SwitchWorkspaceRequest { workspace_id: workspace_id(workspace) };
            read(me.sessions().switch_workspace(request).await, |it| begun(it.session_token, it.session, None))
        }
        Call::GetSession => read(me.sessions().get_session(v1::GetSessionRequest {}).await, |it| {
            let mut said: Vec<String> = it.session.iter().map(words::said_session).collect();
            said.extend(it.user.iter().map(words::said_user));
            said.extend(it.workspace.iter().map(words::said_membership));
            said.push(format!("{:?}", it.permissions));
            nothing_made(said)
        }),
        Call::ListSessions { page } => {
            let request = v1::ListSessionsRequest { page_size: page, page_token: String::new() };
            pages!(me.sessions(), list_sessions, request, sessions, words::said_session)
        }
        Call::RevokeSession { session } => {
            let request = v1::RevokeSessionRequest { session_id: session_id(session) };
            read(me.sessions().revoke_session(request).await, |_| nothing_made(Vec::new()))
        }
        Call::RevokeOtherSessions => {
            let answer = me.sessions().revoke_other_sessions(v1::RevokeOtherSessionsRequest {}).await;
            read(answer, |it| nothing_made(vec![format!("{} sessions ended", it.ended_session_count)]))
        }
        Call::SignOut => read(me.sessions().sign_out(v1::SignOutRequest {}).await, |_| nothing_made(Vec::new())),
        Call::Reauthenticate { password } => {
            let person = match caller {
                Caller::Session(session) => Some(model.sessions[session].person),
                _ => None,
            };
            let request = v1::ReauthenticateRequest { password: PASSWORDS[model.typed(person, password)].into() };
            read(me.sessions().reauthenticate(request).await, |_| nothing_made(Vec::new()))
        }
        Call::CheckAccess { subject, requirement } => {
            let token = |pick: Pick| {
                pick.of(model.sessions.len()).map_or(NO_SESSION.into(), |index| model.sessions[index].token.clone())
            };
            let request = v1::CheckAccessRequest {
                subject: match subject {
                    Subject::Unset => None,
                    Subject::Token(pick) => Some(check::Subject::SessionToken(token(pick))),
                    Subject::Person(pick) => Some(check::Subject::UserId(user_id(pick))),
                },
                requirement: match requirement {
                    Requirement::Unset => None,
                    Requirement::Permission(number) => Some(check::Requirement::Permission(number)),
                    Requirement::Role(number) => Some(check::Requirement::MinimumRole(number)),
                },
            };
            read(me.access().check_access(request).await, |it| nothing_made(vec![words::said_verdict(&it)]))
        }
        Call::UpdateWorkspace { name } => {
            let request = v1::UpdateWorkspaceRequest { name: name.map(|name| NAMES[name].into()) };
            let answer = me.workspaces().update_workspace(request).await;
            read(answer, |it| nothing_made(it.workspace.iter().map(words::said_workspace).collect()))
        }
        Call::CreateWorkspace { name, email, request } => {
            let request = v1::CreateWorkspaceRequest {
                name: NAMES[name].into(),
                owner_email: EMAILS[email].into(),
                request_id: request_id(request),
            };
            read(me.workspaces().create_workspace(request).await, |it| {
                let workspace = it.workspace.expect("a workspace");
                let (mut said, mut made) = one_invitation(it.invitation);
                said.insert(0, words::said_workspace(&workspace));
                made.workspace = workspace.workspace_id;
                (said, made)
            })
        }
    }
}
