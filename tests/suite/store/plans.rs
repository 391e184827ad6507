//! How the database finds what the hot statements ask for: by an index and in its order, however much there is.
//!
//! SQLite's plans are all in `plans.txt` beside this file; what may not be in it is named below. PostgreSQL chooses by
//! what is in the tables, so there it is asked whether there is a way without what may not be in a plan.

use std::fmt::Write as _;
use std::time::Duration;

use rolecall::authz::ServiceScope;
use rolecall::config::Quota;
use rolecall::crypto::{TokenKind, new_user_id, new_uuid};
use rolecall::model::{
    AuditAction, AuditFilter, INVITATION_LIFETIME, InvitationId, InvitationState, MAX_SESSIONS_PER_USER, PageRequest,
    Position, Role, Session, WorkspaceId,
};
use rolecall::store::{
    EmailSubject, InvitationFilter, MemberFilter, NewInvitation, NewSession, Question, RequestKey, Settlement,
    SweepKind, SweepLimits,
};

use super::scene::{LIFETIME, NOW, Scene, Seat, address, name, new_session};
use super::statements::statements_of;
use super::{DAY, SECOND};
use crate::support::{Database, Mode, mode};

/// What is sorted: the few memberships of one user, by when each was used.
const SORTED: [&str; 2] = ["the workspace of a sign-in that names none", "whom a sign-in is about"];
/// What is grouped by membership: the sessions of one batch.
const GROUPED: [&str; 2] = ["sweeping EndedSessions", "sweeping ExpiredSessions"];
/// What reads an index from its beginning: one row, of the e-mails that wait, or of the addresses.
const FROM_THE_BEGINNING: [&str; 2] = ["the next e-mail", "whom a sign-in is about"];

/// Devices of one user that are remembered.
const MOST_DEVICES: usize = 20;

/// The statements of everything that is hot, each with what it is for.
#[derive(Default)]
struct Book(Vec<(String, Vec<String>)>);

impl Book {
    /// Does the work, which must go well, and keeps its statements.
    async fn add<T, E: std::fmt::Debug>(&mut self, what: &str, work: impl Future<Output = Result<T, E>>) -> T {
        let (done, statements) = statements_of(work).await;
        let queries: Vec<String> = statements.into_iter().filter(|sql| !is_control(sql) && !is_insert(sql)).collect();
        assert!(!queries.is_empty(), "{what}: no statement was logged");
        self.0.push((what.to_owned(), queries));
        done.unwrap()
    }
}

fn is_control(sql: &str) -> bool {
    ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "PRAGMA", "SET"].iter().any(|word| sql.starts_with(word))
}

/// What only inserts, and reads nothing.
fn is_insert(sql: &str) -> bool {
    sql.starts_with("INSERT") && !sql.contains("SELECT")
}

fn first() -> PageRequest {
    PageRequest { size: 50, after: None }
}

fn after_time() -> PageRequest {
    PageRequest { size: 50, after: Some(Position::at_time(NOW, new_uuid(NOW))) }
}

fn after_text() -> PageRequest {
    PageRequest { size: 50, after: Some(Position::at_text("m@acme.example", new_uuid(NOW))) }
}

async fn callers(book: &mut Book, scene: &Scene, owner: &Seat) {
    let store = &scene.store;
    book.add("a session by its token", store.session_state(owner.token, LIFETIME, NOW)).await;
    let (key, token, op) = scene.key(ServiceScope::ALL[0], owner.workspace).await;
    book.add("a service key by its hash", store.key_state(token, NOW)).await;
    book.add("a role", store.role_of(owner.workspace, owner.user)).await;
    let everything = vec![
        Question::Session(owner.token),
        Question::ServiceKey(token),
        Question::Membership(owner.workspace, owner.user),
        Question::Workspace(owner.workspace),
    ];
    book.add("one of each kind about access", store.ask(everything.clone())).await;
    let others = vec![
        Question::Session(TokenKind::Session.mint().hash),
        Question::ServiceKey(TokenKind::ServiceKey.mint().hash),
        Question::Membership(owner.workspace, new_user_id()),
        Question::Workspace(WorkspaceId::new(new_uuid(NOW))),
    ];
    book.add("several of each kind about access", store.ask([everything, others].concat())).await;
    book.add("a write of a service key", store.write(&op)).await;
    let op = scene.op_by(owner, "/rolecall.v1.UserService/ListUsers").await;
    book.add("a write of a session", store.write(&op)).await;
    let mut tx = scene.system(NOW).await;
    let later = NOW.plus(SECOND);
    book.add("sessions that were used", tx.touch_sessions(&[(owner.token.key(), later)], SECOND)).await;
    book.add("service keys that were used", tx.touch_service_keys(&[(key, NOW)], SECOND)).await;
}

async fn people(book: &mut Book, scene: &Scene, owner: &Seat) {
    let (store, workspace) = (&scene.store, owner.workspace);
    let all = MemberFilter::default();
    book.add("a user", store.member(workspace, owner.user)).await;
    book.add("users by their ids", store.members_among(workspace, &[owner.user, owner.user])).await;
    book.add("users", store.members(workspace, &all, &first())).await;
    book.add("users, next page", store.members(workspace, &all, &after_text())).await;
    let removed = MemberFilter { include_removed: true, ..all.clone() };
    book.add("users, removed ones too, next page", store.members(workspace, &removed, &after_text())).await;
    let some = MemberFilter { roles: vec![Role::Admin, Role::Owner], query: "o".into(), ..all };
    book.add("users of a role and name, next page", store.members(workspace, &some, &after_text())).await;
    book.add("a user's workspaces", store.memberships_of(owner.user, &first())).await;
    book.add("a user's workspaces, next page", store.memberships_of(owner.user, &after_time())).await;
    book.add(SORTED[0], store.default_workspace_of(owner.user)).await;
    book.add(SORTED[1], store.sign_in_subject(&owner.account.email)).await;
    book.add("an account by its address", store.account_by_email(&owner.account.email)).await;
    book.add("an account", store.account(owner.user)).await;
    let mut tx = scene.system(NOW).await;
    book.add("a workspace by its name", tx.workspace_named(&name("Acme"))).await;
    book.add("a user by address", tx.active_member_by_email(workspace, &owner.account.email)).await;
    book.add("a user's name", tx.rename_memberships(owner.user, &owner.account.email, &name("Sam"))).await;
    book.add("a user's lock", tx.lock_user(owner.user)).await;
    book.add("an account under its lock", tx.lock_account(owner.user)).await;
    book.add("a member who signs in", tx.note_sign_in(workspace, owner.user)).await;
}

async fn sessions(book: &mut Book, scene: &Scene, owner: &Seat) {
    let live = |page| async move { scene.store.live_sessions_of(owner.user, LIFETIME, NOW, &page).await };
    book.add("a user's sessions", live(first())).await;
    book.add("a user's sessions, next page", live(after_time())).await;
    let mut tx = scene.system(NOW).await;
    let new = || new_session(owner.workspace, owner.user, Role::Owner, TokenKind::Session.mint().hash);
    for number in 0..MAX_SESSIONS_PER_USER {
        let (inserted, statements) = statements_of(tx.insert_session(&new(), LIFETIME)).await;
        inserted.unwrap();
        // What is over the most is looked for only where there may be some. The owner is here already.
        assert!(statements.len() == 1 || number + 2 >= MAX_SESSIONS_PER_USER, "{number}: {statements:?}");
    }
    book.add("a session over the most", tx.insert_session(&new(), LIFETIME)).await;
    book.add("one of a user's sessions", tx.session_of(owner.user, owner.session)).await;
    book.add("a new password in a sign-in", tx.refresh_sign_in(owner.user, owner.sign_in)).await;
    book.add("the end of a sign-in", tx.end_sign_in(owner.user, owner.sign_in, LIFETIME, true)).await;
    book.add("the end of all others", tx.end_other_sign_ins(owner.user, owner.sign_in, LIFETIME)).await;
    book.add("the end of all", tx.end_all_sessions(owner.user, LIFETIME)).await;
    book.add("the end of all in a workspace", tx.end_sessions_in(owner.workspace, owner.user, LIFETIME)).await;
    for _ in 0..MOST_DEVICES {
        let device = TokenKind::KnownDevice.mint().hash;
        tx.insert_known_device(device, owner.user, NOW.plus(DAY)).await.unwrap();
    }
    let device = TokenKind::KnownDevice.mint().hash;
    book.add("a device over the most", tx.insert_known_device(device, owner.user, NOW.plus(DAY))).await;
    tx.insert_session(&new(), LIFETIME).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = scene.system(NOW.plus(2 * DAY)).await;
    let late = NewSession { session: Session { last_used_time: NOW.plus(2 * DAY), ..new().session }, ..new() };
    book.add("a session after others that time has ended", tx.insert_session(&late, LIFETIME)).await;
    tx.commit().await.unwrap();
    book.add("a known device", scene.store.is_known_device(device, owner.user, NOW)).await;
}

async fn invitations(book: &mut Book, scene: &Scene, owner: &Seat) {
    use InvitationState::{Accepted, Canceled, Expired, Pending};
    let (store, workspace) = (&scene.store, owner.workspace);
    let guest = address("guest@acme.example");
    let id = InvitationId::new(new_uuid(NOW));
    let link = TokenKind::Invitation.mint().hash;
    let mut tx = scene.system(NOW).await;
    let new = NewInvitation {
        invitation_id: id,
        workspace_id: workspace,
        email: guest.clone(),
        role: Role::Agent,
        invited_by: Some(owner.user),
        founding: true,
        by_email: true,
    };
    tx.insert_invitation(&new).await.unwrap();
    tx.insert_invitation_link(link, id, 1).await.unwrap();
    tx.commit().await.unwrap();

    for (what, states) in [
        ("invitations", vec![]),
        ("invitations, pending", vec![Pending]),
        ("invitations, expired", vec![Expired]),
        ("invitations, accepted", vec![Accepted]),
        ("invitations, canceled", vec![Canceled]),
        ("invitations, all", vec![Pending, Expired, Accepted, Canceled]),
    ] {
        let filter = InvitationFilter { states };
        book.add(what, store.invitations(workspace, &filter, NOW, &first())).await;
        let next = format!("{what}, next page");
        book.add(&next, store.invitations(workspace, &filter, NOW, &after_time())).await;
    }
    book.add("an invitation", store.invitation(workspace, id)).await;
    book.add("an invitation by its link", store.invitation_link(link)).await;
    let tx = scene.system(NOW).await;
    book.add("the open invitation for an address", tx.open_invitation_for(workspace, &guest)).await;
    book.add("open invitations by a sender", tx.open_invitations_by(workspace, owner.user)).await;
    book.add("the founding invitation", tx.founding_invitation(workspace)).await;
    let quota = Quota { name: "ANY", most: 5, window: DAY };
    book.add("quota of a workspace", tx.require_workspace_quota(workspace, quota)).await;
    book.add("quota of sendings", tx.require_sending_quota(id, quota)).await;
    book.add("quota of resends", tx.require_resend_quota(id, quota)).await;
    book.add("quota of a recipient", tx.require_recipient_quota(&guest, quota)).await;
    book.add("quota of resets", tx.require_reset_quota(&guest, quota)).await;
}

async fn audit(book: &mut Book, scene: &Scene, owner: &Seat) {
    let all = AuditFilter::default();
    let (actor_user, target_user) = (Some(owner.user), Some(owner.user));
    let actions = vec![AuditAction::SignedIn, AuditAction::SignedOut];
    let (start, end) = (Some(NOW), Some(NOW.plus(DAY)));
    for (what, filter) in [
        ("audit events", all.clone()),
        ("audit events of some kinds", AuditFilter { actions: actions.clone(), ..all.clone() }),
        ("audit events by a user", AuditFilter { actor_user, ..all.clone() }),
        ("audit events about a user", AuditFilter { target_user, ..all.clone() }),
        ("audit events of a time", AuditFilter { start, end, ..all.clone() }),
        ("audit events by a user of a time", AuditFilter { actor_user, start, end, ..all.clone() }),
        ("audit events by every filter", AuditFilter { actions, actor_user, target_user, start, end }),
    ] {
        book.add(what, scene.store.audit_events(owner.workspace, &filter, &first())).await;
        let next = format!("{what}, next page");
        book.add(&next, scene.store.audit_events(owner.workspace, &filter, &after_time())).await;
    }
}

async fn upkeep(book: &mut Book, scene: &Scene, owner: &Seat) {
    let mut tx = scene.system(NOW).await;
    let subject = EmailSubject::PasswordReset { user: Some(owner.user), issue: 0 };
    tx.enqueue_email(&owner.account.email, subject).await.unwrap();
    let reset = TokenKind::PasswordReset.mint().hash;
    tx.insert_reset_link(reset, owner.user, 0, NOW.plus(DAY)).await.unwrap();
    book.add("whose reset is asked for", tx.reset_issue_by_email(&owner.account.email)).await;
    tx.commit().await.unwrap();
    book.add("a reset by its link", scene.store.reset_link(reset, NOW)).await;
    book.add("the next e-mail", scene.store.next_email_due()).await;

    let mut tx = scene.system(NOW).await;
    let leases = book.add("the claim of e-mails", tx.lease_emails(10, NOW.plus(SECOND))).await;
    book.add("whether a claim stands", tx.holds_lease(&leases[0], NOW)).await;
    book.add("the end of an e-mail", tx.settle_email(&leases[0], true, Settlement::Done)).await;
    let request = RequestKey::new(owner.workspace.uuid(), "CreateInvitation", new_uuid(NOW), &[]);
    book.add("an earlier request", tx.recall_request(&request)).await;
    tx.commit().await.unwrap();

    // Of what is swept together with what stands on it there has to be something.
    for late in ["late@acme.example", "later@acme.example"] {
        scene.seat(owner.workspace, late, Role::Agent).await;
    }
    let mut tx = scene.system(NOW.plus(DAY * 100)).await;
    let limits = SweepLimits {
        ended_sessions: Duration::ZERO,
        dead_links: INVITATION_LIFETIME,
        settled_emails: Duration::ZERO,
        audit_events: DAY,
        batch: 500,
    };
    for kind in SweepKind::ALL {
        book.add(&format!("sweeping {kind:?}"), tx.sweep(kind, &limits)).await;
    }
}

/// The plan of one statement, a step a line, and what is wrong with it.
async fn plan(outside: &Database, what: &str, sql: &str) -> (Vec<String>, Vec<String>) {
    let (steps, bad) = match mode() {
        Mode::Sqlite => sqlite_plan(outside, what, sql).await,
        Mode::Postgres(_) => postgres_plan(outside, what, sql).await,
    };
    (steps, bad.into_iter().map(|step| format!("{what}: {step}: {sql}")).collect())
}

async fn sqlite_plan(outside: &Database, what: &str, sql: &str) -> (Vec<String>, Vec<String>) {
    let steps: Vec<(i64, i64, i64, String)> = outside.rows(&format!("EXPLAIN QUERY PLAN {sql}")).await;
    let steps: Vec<String> = steps.into_iter().map(|(.., step)| step).collect();
    let is_bad = |step: &&String| {
        let grouped = sql.contains("GROUP BY") && GROUPED.contains(&what);
        let sorted = step.contains("TEMP B-TREE") && !grouped && !SORTED.contains(&what);
        // What is asked, and what was found of it.
        let listed = step.contains("CONSTANT ROW")
            || ["SCAN asked", "SCAN used"].contains(&step.as_str())
            || step.starts_with("SCAN (subquery");
        let scanned = step.starts_with("SCAN") && !listed && !FROM_THE_BEGINNING.contains(&what);
        sorted || scanned
    };
    let bad = steps.iter().filter(is_bad).cloned().collect();
    (steps, bad)
}

/// A plan for any values, by a planner that reads a whole table and sorts only where it knows no other way.
async fn postgres_plan(outside: &Database, what: &str, sql: &str) -> (Vec<String>, Vec<String>) {
    for setting in ["enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin", "enable_mergejoin"] {
        outside.run(&format!("SET {setting} = off")).await;
    }
    outside.run("SET plan_cache_mode = force_generic_plan").await;
    let number = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
    let values = vec!["NULL"; sql.split('$').skip(1).map(number).max().unwrap_or(0)];
    // The driver says what its values are. Here all can be told from where they stand, but for those of a list.
    let types = match sql {
        sql if sql.starts_with("UPDATE \"session\"") && sql.contains("AS \"used\"") => "(bigint, bigint)",
        sql if sql.contains("(VALUES ($1, $2)) AS \"used\"") => "(uuid, bigint)",
        _ => "",
    };
    outside.run(&format!("PREPARE hot {types} AS {sql}")).await;
    let call = if values.is_empty() { "hot".to_owned() } else { format!("hot ({})", values.join(", ")) };
    let steps = outside.texts(&format!("EXPLAIN (COSTS OFF) EXECUTE {call}")).await;
    outside.run("DEALLOCATE hot").await;
    // A step is a line with an arrow, or the first, and what is said of it are the lines below.
    let mut bad = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let mut said = steps[index + 1..].iter().take_while(|line| !line.contains("->"));
        let seeks = said.any(|line| line.trim_start().starts_with("Index Cond:"));
        let listed =
            ["CTE Scan", "Subquery Scan", "Function Scan", "Values Scan"].iter().any(|list| step.contains(list));
        let scans = step.contains(" Scan ") && !listed;
        let scanned = scans && !seeks && !FROM_THE_BEGINNING.contains(&what);
        let sorted = step.trim_start().trim_start_matches("->").trim_start().starts_with("Sort")
            && !SORTED.contains(&what)
            && !(sql.contains("GROUP BY") && GROUPED.contains(&what));
        if scanned || sorted {
            bad.push(step.trim().to_owned());
        }
    }
    (steps, bad)
}

#[tokio::test]
async fn every_hot_statement_seeks_by_an_index_and_sorts_nothing() {
    let scene = Scene::set().await;
    let owner = scene.workspace("owner@acme.example").await;
    let mut book = Book::default();
    callers(&mut book, &scene, &owner).await;
    people(&mut book, &scene, &owner).await;
    sessions(&mut book, &scene, &owner).await;
    invitations(&mut book, &scene, &owner).await;
    audit(&mut book, &scene, &owner).await;
    upkeep(&mut book, &scene, &owner).await;

    let outside = scene.outside().await;
    let (mut plans, mut bad) = (String::new(), Vec::new());
    for (what, statements) in &book.0 {
        writeln!(plans, "{what}").unwrap();
        for sql in statements {
            let (steps, wrong) = plan(&outside, what, sql).await;
            bad.extend(wrong);
            for step in steps {
                writeln!(plans, "    {step}").unwrap();
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    if mode() == Mode::Sqlite {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/store/plans.txt");
        let golden = std::fs::read_to_string(golden).unwrap();
        assert!(plans == golden, "the plans are not those of plans.txt:\n{plans}");
    }
}
