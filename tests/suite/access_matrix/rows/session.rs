use rolecall::grpc::pb::v1;

use super::{Row, row, row_if};
use crate::access_matrix::stage::{Stage, UNKNOWN_V7, password};

pub fn rows() -> Vec<Row> {
    let mut rows = sign_in();
    rows.extend(switch_workspace());
    rows.push(row("SessionService.GetSession", "", |_, _| v1::GetSessionRequest {}));
    rows.push(row("SessionService.ListSessions", "", |_, _| v1::ListSessionsRequest::default()));
    rows.extend(revoke_session());
    rows.push(row("SessionService.RevokeOtherSessions", "", |_, _| v1::RevokeOtherSessionsRequest {}));
    rows.push(row("SessionService.SignOut", "", |_, _| v1::SignOutRequest {}));
    let reauthenticate = |target, password: fn() -> String| {
        row("SessionService.Reauthenticate", target, move |_, _| v1::ReauthenticateRequest { password: password() })
    };
    rows.push(reauthenticate("the right password", password));
    rows.push(reauthenticate("a wrong password", wrong_password));
    rows.extend(passwords());
    rows
}

fn wrong_password() -> String {
    "some other long password 9".to_owned()
}

fn sign_in() -> Vec<Row> {
    let by = |target, email: &'static str, password: fn() -> String, workspace: fn(&Stage) -> &str| {
        row("SessionService.SignIn", target, move |stage, _| v1::SignInRequest {
            email: email.into(),
            password: password(),
            workspace_id: workspace(stage).into(),
            ..Default::default()
        })
    };
    let agent = "target-agent@acme.example";
    vec![
        by("naming no workspace", agent, password, |_| ""),
        by("into one's workspace", agent, password, |stage| &stage.acme),
        by("into Gamma, not a member", agent, password, |stage| &stage.gamma),
        by("into an unknown workspace", agent, password, |_| UNKNOWN_V7),
        by("by a wrong password", agent, wrong_password, |_| ""),
        by("… into Gamma", agent, wrong_password, |stage| &stage.gamma),
        by("an unknown address", "nobody@nowhere.example", password, |_| ""),
        by("someone removed", "gone@acme.example", password, |_| ""),
    ]
}

fn switch_workspace() -> Vec<Row> {
    let to = |target, workspace: fn(&Stage) -> &str| {
        row("SessionService.SwitchWorkspace", target, move |stage, _| v1::SwitchWorkspaceRequest {
            workspace_id: workspace(stage).into(),
        })
    };
    vec![
        to("to Acme", |stage| &stage.acme),
        to("to Delta, another of one's own", |stage| &stage.delta),
        to("to Gamma, not a member", |stage| &stage.gamma),
        to("to an unknown workspace", |_| UNKNOWN_V7),
    ]
}

fn revoke_session() -> Vec<Row> {
    let method = "SessionService.RevokeSession";
    let request = |id: &str| v1::RevokeSessionRequest { session_id: id.into() };
    vec![
        row_if(method, "the calling one", move |_, caller| Some(request(&caller.person.as_ref()?.session_id))),
        row_if(method, "another of one's own, in Delta", move |stage, caller| {
            Some(request(&stage.elsewhere_of(caller.person.as_ref()?)?.session_id))
        }),
        row(method, "a colleague's", move |stage, _| request(&stage.agent.session_id)),
        row(method, "someone's of Gamma", move |stage, _| request(&stage.stranger.session_id)),
        row(method, "an unknown id", move |_, _| request(UNKNOWN_V7)),
    ]
}

fn passwords() -> Vec<Row> {
    vec![
        row("PasswordService.ChangePassword", "", |_, _| v1::ChangePasswordRequest {
            current_password: password(),
            new_password: wrong_password(),
        }),
        row("PasswordService.RequestPasswordReset", "", |_, _| v1::RequestPasswordResetRequest {
            email: "target-agent@acme.example".into(),
        }),
        row("PasswordService.ResetPassword", "a token never issued", |_, _| v1::ResetPasswordRequest {
            reset_token: "rcp_0000000000000000000000000000000000000000000".into(),
            new_password: wrong_password(),
        }),
    ]
}
