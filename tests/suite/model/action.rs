//! What can happen in a sequence. Everything is named by its place among what exists at that moment, so that any
//! sequence makes sense and a shorter one still does.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

/// One of the things that exist, the newest first; or one that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    Some(usize),
    Unknown,
    /// What the sequence itself has worked out.
    Exactly(usize),
}

impl Pick {
    /// The index of what is meant, among `count` things.
    pub fn of(self, count: usize) -> Option<usize> {
        match self {
            Pick::Some(number) => (count > 0).then(|| count - 1 - number % count),
            Pick::Unknown => None,
            Pick::Exactly(index) => Some(index),
        }
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub enum By {
    Nobody,
    /// With a session token that never was one.
    Stranger,
    /// With a service key that never was one.
    BadKey,
    Key(usize),
    /// Any session that ever began, mostly a dead one.
    Any(Pick),
    Live(usize),
    /// A live session of an Admin or an Owner.
    Strong(usize),
    Exactly(usize),
}

/// What `rolecall-workspace-id` says.
#[derive(Clone, Copy, Debug)]
pub enum Naming {
    Nothing,
    Workspace(usize),
    Unknown,
}

/// Whom a service asks about.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    Unset,
    /// A session, by its token.
    Token(Pick),
    Person(Pick),
}

#[derive(Clone, Copy, Debug)]
pub enum Requirement {
    Unset,
    Permission(i32),
    Role(i32),
}

#[derive(Clone, Debug)]
pub enum Call {
    CreateInvitation { email: usize, role: i32, request: Option<usize> },
    ResendInvitation { invitation: Pick, request: Option<usize> },
    CancelInvitation { invitation: Pick },
    GetInvitation { invitation: Pick },
    ListInvitations { states: Vec<i32>, page: i32 },
    PreviewInvitation { link: Pick },
    AcceptInvitation { link: Pick, name: usize, password: Password },
    ListUsers { include_removed: bool, page: i32 },
    GetUser { person: Pick },
    ChangeUserRole { person: Pick, role: i32 },
    RemoveUser { person: Pick },
    LeaveWorkspace,
    UpdateProfile { name: Option<usize> },
    SignIn { email: usize, password: Password, workspace: Option<Pick> },
    SwitchWorkspace { workspace: Pick },
    GetSession,
    ListSessions { page: i32 },
    RevokeSession { session: Pick },
    RevokeOtherSessions,
    SignOut,
    Reauthenticate { password: Password },
    CheckAccess { subject: Subject, requirement: Requirement },
    UpdateWorkspace { name: Option<usize> },
    CreateWorkspace { name: usize, email: usize, request: Option<usize> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Password {
    Right,
    Wrong,
}

/// A moment at which something ends, and the call that shows whether it has.
#[derive(Clone, Copy, Debug)]
pub enum Edge {
    /// An invitation expires: by a preview, or by an accept.
    Invitation { accept: bool },
    /// A session has not been used for too long.
    Idle,
    /// A session is too old.
    Lifetime,
    /// A password was given too long ago: to invite an Owner, or to make one.
    Fresh { invite: bool },
    /// An accept can no longer be repeated.
    Repeat,
    /// A `request_id` is forgotten.
    Request,
}

#[derive(Clone, Debug)]
pub enum Action {
    Call(By, Naming, Call),
    /// The clock moves on by so many seconds.
    Wait(u64),
    /// The clock moves to an edge (or one microsecond before it), and then the call is made.
    Edge {
        edge: Edge,
        pick: usize,
        before: bool,
    },
}

/// Addresses in play. Few, so that they meet.
pub const EMAILS: [&str; 6] =
    ["ada@a.example", "ben@b.example", "cleo@c.example", "dan@d.example", "eve@e.example", "fay@f.example"];
pub const NAMES: [&str; 4] = ["Ada", "  Ben Ten ", "Zo\u{eb}", "Nobody In Particular"];
/// `request_id`s in play.
pub const REQUESTS: [&str; 2] = ["7f3c1c1e-1d0c-4f2a-9a53-0b8f4b6f0001", "7f3c1c1e-1d0c-4f2a-9a53-0b8f4b6f0002"];
/// The id of nothing.
pub const UNKNOWN: &str = "01890000-0000-7000-8000-00000000dead";

fn number() -> impl Strategy<Value = usize> {
    0..1_000_usize
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![12 => number().prop_map(Pick::Some), 1 => Just(Pick::Unknown)]
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![
        30 => number().prop_map(By::Strong),
        16 => number().prop_map(By::Live),
        4 => pick().prop_map(By::Any),
        3 => number().prop_map(By::Key),
        1 => Just(By::Nobody),
        1 => Just(By::Stranger),
        1 => Just(By::BadKey),
    ]
}

fn naming() -> impl Strategy<Value = Naming> {
    prop_oneof![12 => Just(Naming::Nothing), 2 => number().prop_map(Naming::Workspace), 1 => Just(Naming::Unknown)]
}

/// Mostly roles, now and then a number that is none.
fn role() -> impl Strategy<Value = i32> {
    prop_oneof![6 => 1..=2_i32, 5 => Just(3), 5 => Just(4), 1 => prop_oneof![Just(0), Just(9)]]
}

fn password() -> impl Strategy<Value = Password> {
    prop_oneof![5 => Just(Password::Right), 1 => Just(Password::Wrong)]
}

fn request() -> impl Strategy<Value = Option<usize>> {
    weighted(0.3, 0..REQUESTS.len())
}

fn email() -> impl Strategy<Value = usize> {
    0..EMAILS.len()
}

fn name() -> impl Strategy<Value = usize> {
    0..NAMES.len()
}

fn page() -> impl Strategy<Value = i32> {
    prop_oneof![Just(0), Just(1), Just(2)]
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        1 => Just(Subject::Unset),
        4 => pick().prop_map(Subject::Token),
        2 => pick().prop_map(Subject::Person),
    ]
}

fn requirement() -> impl Strategy<Value = Requirement> {
    prop_oneof![
        1 => Just(Requirement::Unset),
        6 => (0..=15_i32).prop_map(Requirement::Permission),
        3 => (0..=5_i32).prop_map(Requirement::Role),
    ]
}

fn about_invitations() -> impl Strategy<Value = Call> {
    prop_oneof![
        9 => (email(), role(), request())
            .prop_map(|(email, role, request)| Call::CreateInvitation { email, role, request }),
        5 => (pick(), request()).prop_map(|(invitation, request)| Call::ResendInvitation { invitation, request }),
        3 => pick().prop_map(|invitation| Call::CancelInvitation { invitation }),
        1 => pick().prop_map(|invitation| Call::GetInvitation { invitation }),
        1 => (vec(0..=4_i32, 0..3), page()).prop_map(|(states, page)| Call::ListInvitations { states, page }),
        2 => pick().prop_map(|link| Call::PreviewInvitation { link }),
        14 => (pick(), name(), password())
            .prop_map(|(link, name, password)| Call::AcceptInvitation { link, name, password }),
    ]
}

fn about_people() -> impl Strategy<Value = Call> {
    prop_oneof![
        1 => (any::<bool>(), page()).prop_map(|(include_removed, page)| Call::ListUsers { include_removed, page }),
        2 => pick().prop_map(|person| Call::GetUser { person }),
        9 => (pick(), role()).prop_map(|(person, role)| Call::ChangeUserRole { person, role }),
        5 => pick().prop_map(|person| Call::RemoveUser { person }),
        2 => Just(Call::LeaveWorkspace),
        2 => weighted(0.9, name()).prop_map(|name| Call::UpdateProfile { name }),
        1 => weighted(0.9, name()).prop_map(|name| Call::UpdateWorkspace { name }),
        2 => (name(), email(), request())
            .prop_map(|(name, email, request)| Call::CreateWorkspace { name, email, request }),
    ]
}

fn about_sessions() -> impl Strategy<Value = Call> {
    prop_oneof![
        7 => (email(), password(), weighted(0.5, pick()))
            .prop_map(|(email, password, workspace)| Call::SignIn { email, password, workspace }),
        5 => pick().prop_map(|workspace| Call::SwitchWorkspace { workspace }),
        2 => Just(Call::GetSession),
        1 => page().prop_map(|page| Call::ListSessions { page }),
        2 => pick().prop_map(|session| Call::RevokeSession { session }),
        1 => Just(Call::RevokeOtherSessions),
        2 => Just(Call::SignOut),
        3 => password().prop_map(|password| Call::Reauthenticate { password }),
        6 => (subject(), requirement())
            .prop_map(|(subject, requirement)| Call::CheckAccess { subject, requirement }),
    ]
}

fn call() -> impl Strategy<Value = Action> {
    let any_call = prop_oneof![36 => about_invitations(), 24 => about_people(), 28 => about_sessions()];
    (by(), naming(), any_call).prop_map(|(by, naming, call)| {
        let by = match call {
            // What only a service key can do is mostly done by one.
            Call::CreateWorkspace { name, .. } if name > 0 => By::Key(name),
            Call::CheckAccess { requirement: Requirement::Permission(number), .. } if number % 3 > 0 => By::Key(0),
            _ => by,
        };
        Action::Call(by, naming, call)
    })
}

fn edge() -> impl Strategy<Value = Edge> {
    prop_oneof![
        any::<bool>().prop_map(|accept| Edge::Invitation { accept }),
        Just(Edge::Idle),
        Just(Edge::Lifetime),
        any::<bool>().prop_map(|invite| Edge::Fresh { invite }),
        Just(Edge::Repeat),
        Just(Edge::Request),
    ]
}

fn wait() -> impl Strategy<Value = u64> {
    const MINUTE: u64 = 60;
    const DAY: u64 = 24 * 60 * MINUTE;
    prop_oneof![
        6 => 1..60_u64,
        6 => Just(10 * MINUTE),
        2 => Just(12 * 60 * MINUTE),
        2 => Just(DAY),
        1 => Just(7 * DAY),
        1 => Just(14 * DAY),
    ]
}

pub fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        40 => call(),
        3 => wait().prop_map(Action::Wait),
        3 => (edge(), number(), any::<bool>()).prop_map(|(edge, pick, before)| Action::Edge { edge, pick, before }),
    ]
}
