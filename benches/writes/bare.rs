//! The bare statements of the same transactions, by `pgbench`: what the database and one round trip for each cost.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::changes::Change;
use crate::seed::{Seed, people_of};

/// A workspace of each client's own, and its Owner's session, as the service reads them in every change.
const BEGIN: &str = r"
\set w :client_id + 1
\set s :client_id + 900
\set i :i + 1
BEGIN;
UPDATE workspace SET revision = revision + 1 WHERE id = id_of(:w);
SELECT s.*, m.role AS own, m.removed_at FROM session s
    JOIN membership m ON m.workspace_id = s.workspace_id AND m.user_id = s.user_id WHERE s.id = id_of(:s);
";
const AUDIT: &str = r"
INSERT INTO audit_event VALUES (gen_random_uuid(), id_of(:w), 7, 1, id_of(:s), NULL, id_of(:u), NULL, :i, '', '{}', 1);
";
const INVITE: &str = r"
\set u :w * 1000000 + 1
INSERT INTO throttle VALUES (sha256(CAST('b' || :w || '-' || :i AS bytea)), 0, 0, 0, 0)
    ON CONFLICT (key) DO UPDATE SET count = throttle.count;
SELECT * FROM throttle WHERE key = sha256(CAST('b' || :w || '-' || :i AS bytea));
SELECT *, (SELECT max(last_used_at) FROM session s WHERE s.workspace_id = m.workspace_id AND s.user_id = m.user_id)
    FROM membership m WHERE workspace_id = id_of(:w) AND email = 'b' || :i AND removed_at IS NULL LIMIT 1;
SELECT * FROM invitation WHERE workspace_id = id_of(:w) AND email = 'b' || :i
    AND accepted_at IS NULL AND canceled_at IS NULL LIMIT 1;
INSERT INTO invitation VALUES (id_of(:w * 10000000 + :i), id_of(:w), 'b' || :i, 1, 1, id_of(:s), :i, :i, NULL, NULL,
    NULL, false, false, 1, 0, NULL, '');
SELECT * FROM invitation WHERE id = id_of(:w * 10000000 + :i) AND workspace_id = id_of(:w);
INSERT INTO outbox VALUES (gen_random_uuid(), 1, 'b' || :i, id_of(:w), id_of(:w * 10000000 + :i), NULL, 1, :i, :i, 0,
    NULL, NULL, :i);
";
const ROLE: &str = r"
\set u :w * 1000000 + 1
SELECT * FROM workspace WHERE id = id_of(:w);
SELECT *, (SELECT max(last_used_at) FROM session s WHERE s.workspace_id = m.workspace_id AND s.user_id = m.user_id)
    FROM membership m WHERE workspace_id = id_of(:w) AND user_id = id_of(:u);
UPDATE user_account SET revision = revision + 1 WHERE id = id_of(:u);
UPDATE membership SET role = 1 + :i % 2 WHERE workspace_id = id_of(:w) AND user_id = id_of(:u);
";
const REMOVE: &str = r"
\set u :w * 1000000 + :i
SELECT * FROM workspace WHERE id = id_of(:w);
SELECT *, (SELECT max(last_used_at) FROM session s WHERE s.workspace_id = m.workspace_id AND s.user_id = m.user_id)
    FROM membership m WHERE workspace_id = id_of(:w) AND user_id = id_of(:u);
UPDATE user_account SET revision = revision + 1 WHERE id = id_of(:u);
UPDATE session SET ended_at = :i, role = NULL, signed_out = false
    WHERE workspace_id = id_of(:w) AND user_id = id_of(:u) AND role IS NOT NULL AND expires_at > :i AND last_used_at > :i;
UPDATE session SET ended_at = :i, role = NULL, signed_out = false
    WHERE workspace_id = id_of(:w) AND user_id = id_of(:u) AND role IS NOT NULL;
UPDATE membership SET removed_at = :i WHERE workspace_id = id_of(:w) AND user_id = id_of(:u);
";
/// Who loses a right loses the invitations with it.
const AFTER: &str = r"
SELECT * FROM invitation WHERE workspace_id = id_of(:w) AND invited_by = id_of(:u)
    AND accepted_at IS NULL AND canceled_at IS NULL ORDER BY created_at DESC, id DESC;
SELECT *, (SELECT max(last_used_at) FROM session s WHERE s.workspace_id = m.workspace_id AND s.user_id = m.user_id)
    FROM membership m WHERE workspace_id = id_of(:w) AND user_id = id_of(:u);
";

/// The same number as an id, as [`crate::seed::id`] has it.
const ID_OF: &str = "CREATE OR REPLACE FUNCTION id_of(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN CAST('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid)";

/// Transactions a second. Each client does `count`, one after the other.
pub fn run(url: &str, folder: &Path, change: Change, clients: usize, count: usize, seed: &Seed) -> Result<f64> {
    execute(Command::new("psql").args([url, "--quiet", "--command", ID_OF]))?;
    let script = match change {
        Change::Invite => format!("{BEGIN}{INVITE}{AUDIT}COMMIT;"),
        Change::Role => format!("{BEGIN}{ROLE}{AUDIT}{AFTER}COMMIT;"),
        Change::Remove => format!("{BEGIN}{REMOVE}{AUDIT}{AFTER}COMMIT;"),
    };
    let path = folder.join("bare.sql");
    std::fs::write(&path, script)?;
    // All workspaces have lost as many people so far; what counts is a number that no round before has had.
    let first = (0..clients).map(|workspace| seed.take(workspace, count) - people_of(workspace)).max().unwrap_or(0);
    let clients_text = clients.to_string();
    let mut pgbench = Command::new("pgbench");
    pgbench.args(["--no-vacuum", "--protocol", "prepared", "--client", &clients_text, "--jobs", "2"]);
    pgbench.args(["--transactions", &count.to_string(), "--define", &format!("i={}", first - 1), "--file"]);
    let printed = execute(pgbench.arg(&path).arg(url))?;
    let line = printed.lines().find_map(|line| line.strip_prefix("tps = ")).ok_or("pgbench said no tps")?;
    Ok(line.split(' ').next().unwrap_or_default().parse()?)
}

fn execute(command: &mut Command) -> Result<String> {
    let done = command.output()?;
    if done.status.success() {
        return Ok(String::from_utf8(done.stdout)?);
    }
    Err(String::from_utf8_lossy(&done.stderr).into_owned().into())
}
