use prost::Message;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;

use super::{Row, row, row_if};
use crate::access_matrix::stage::{Stage, UNKNOWN};

/// A kind of person, and who it is on the stage.
type Target = (&'static str, fn(&Stage) -> &str);

const OTHERS: [Target; 6] = [
    ("an Agent", |stage| &stage.agent.user_id),
    ("an Admin", |stage| &stage.admin.user_id),
    ("an Owner", |stage| &stage.owner.user_id),
    ("someone removed", |stage| &stage.gone.user_id),
    ("an unknown id", |_| UNKNOWN),
    ("someone of Gamma", |stage| &stage.stranger.user_id),
];

pub fn rows() -> Vec<Row> {
    let mut rows = vec![row("UserService.ListUsers", "", |_, _| v1::ListUsersRequest::default())];
    rows.extend(get_user());
    rows.push(
        row("UserService.BatchGetUsers", "all those", |stage, _| v1::BatchGetUsersRequest {
            user_ids: OTHERS.iter().map(|(_, id)| id(stage).to_owned()).collect(),
        })
        .with_note(|bytes| {
            let users = v1::BatchGetUsersResponse::decode(bytes).unwrap().users;
            let fields = users.first().map(|user| format!(", {}", fields_of(user))).unwrap_or_default();
            format!("{} of {}{fields}", users.len(), OTHERS.len())
        }),
    );
    rows.push(row("UserService.UpdateProfile", "", |_, _| v1::UpdateProfileRequest {
        display_name: Some("Somebody Else".into()),
    }));
    rows.extend(change_user_role());
    rows.extend(remove_user());
    rows.push(row("UserService.LeaveWorkspace", "", |_, _| v1::LeaveWorkspaceRequest {}));
    rows
}

fn get_user() -> Vec<Row> {
    let method = "UserService.GetUser";
    let note: fn(&[u8]) -> String =
        |bytes| fields_of(&v1::GetUserResponse::decode(bytes).unwrap().user.unwrap()).to_owned();
    let oneself = row_if(method, "oneself", |_, caller| {
        Some(v1::GetUserRequest { user_id: caller.person.as_ref()?.user_id.clone() })
    });
    let others = OTHERS
        .into_iter()
        .map(|(target, id)| row(method, target, move |stage, _| v1::GetUserRequest { user_id: id(stage).into() }));
    [oneself].into_iter().chain(others).map(|row| row.with_note(note)).collect()
}

/// Whether all fields are set or those only that colleagues see.
fn fields_of(user: &v1::User) -> &'static str {
    assert!(!user.user_id.is_empty() && !user.display_name.is_empty() && user.role != 0 && user.state != 0);
    match (user.email.is_empty(), user.join_time.is_none() && user.remove_time.is_none()) {
        (true, true) if user.last_seen_time.is_none() => "four fields",
        (false, false) => "all fields",
        _ => "some other fields",
    }
}

fn change_user_role() -> Vec<Row> {
    let method = "UserService.ChangeUserRole";
    let to = |target: &'static str, id: fn(&Stage) -> &str, role: Role| {
        row(method, target, move |stage, _| v1::ChangeUserRoleRequest {
            user_id: id(stage).into(),
            role: role.number(),
        })
    };
    let oneself = row_if(method, "oneself to AGENT", |_, caller| {
        let user_id = caller.person.as_ref()?.user_id.clone();
        Some(v1::ChangeUserRoleRequest { user_id, role: Role::Agent.number() })
    });
    let [(_, agent), (_, admin), (_, owner), (_, gone), (_, unknown), (_, foreign)] = OTHERS;
    vec![
        oneself,
        to("an Agent to ADMIN", agent, Role::Admin),
        to("an Agent to AGENT", agent, Role::Agent),
        to("an Agent to OWNER", agent, Role::Owner),
        to("an Admin to AGENT", admin, Role::Agent),
        to("an Owner to ADMIN", owner, Role::Admin),
        to("an Owner to OWNER", owner, Role::Owner),
        to("someone removed to AGENT", gone, Role::Agent),
        to("someone removed to OWNER", gone, Role::Owner),
        to("an unknown id to AGENT", unknown, Role::Agent),
        to("an unknown id to OWNER", unknown, Role::Owner),
        to("someone of Gamma to AGENT", foreign, Role::Agent),
        to("someone of Gamma to OWNER", foreign, Role::Owner),
    ]
}

fn remove_user() -> Vec<Row> {
    let method = "UserService.RemoveUser";
    let oneself = row_if(method, "oneself", |_, caller| {
        Some(v1::RemoveUserRequest { user_id: caller.person.as_ref()?.user_id.clone() })
    });
    let others = OTHERS
        .into_iter()
        .map(|(target, id)| row(method, target, move |stage, _| v1::RemoveUserRequest { user_id: id(stage).into() }));
    [oneself].into_iter().chain(others).collect()
}
