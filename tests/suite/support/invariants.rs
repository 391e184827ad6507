//! What must be true of a database at any moment.

/// Sentences that are true of every state that a transaction leaves behind, each with a query for the exceptions. They
/// hold as long as nothing was swept. The numbers of actions are those of `AuditAction`; events are in the order of
/// their rows, since a clock that a test moves stands still in between.
pub const INVARIANTS: [(&str, &str); 23] = [
    (
        "a workspace counts its active Owners",
        "SELECT hex(w.id) || ' says ' || w.owner_count FROM workspace w
         LEFT JOIN (SELECT workspace_id, count(*) AS n FROM membership WHERE role = 4 AND removed_at IS NULL GROUP BY 1) o
             ON o.workspace_id = w.id
         WHERE w.owner_count <> coalesce(o.n, 0)",
    ),
    (
        "a workspace that has had an Owner has one",
        "SELECT hex(id) FROM workspace WHERE (founded_at IS NULL) <> (owner_count = 0)",
    ),
    (
        "a workspace's creation was recorded once",
        "SELECT hex(w.id) FROM workspace w
         LEFT JOIN (SELECT workspace_id, count(*) AS n FROM audit_event WHERE action = 1 GROUP BY 1) e
             ON e.workspace_id = w.id
         WHERE coalesce(e.n, 0) <> 1",
    ),
    (
        "an account has a membership, active or not",
        "SELECT hex(u.id) FROM user_account u LEFT JOIN membership m ON m.user_id = u.id WHERE m.user_id IS NULL",
    ),
    (
        "an active membership has the account's name",
        "SELECT hex(u.id) FROM membership m JOIN user_account u ON u.id = m.user_id
         WHERE m.removed_at IS NULL AND m.display_name <> u.display_name",
    ),
    (
        "a membership is active if it was joined once more often than it was ended",
        "SELECT hex(m.user_id) FROM membership m
         LEFT JOIN (SELECT workspace_id, target_user_id,
                        count(*) FILTER (WHERE action = 6) - count(*) FILTER (WHERE action IN (8, 9)) AS n
                    FROM audit_event GROUP BY 1, 2) e
             ON e.workspace_id = m.workspace_id AND e.target_user_id = m.user_id
         WHERE coalesce(e.n, 0) <> CASE WHEN m.removed_at IS NULL THEN 1 ELSE 0 END",
    ),
    (
        "a role is the one that was recorded last",
        "SELECT hex(m.user_id) || ' has ' || m.role || ' of ' || e.role FROM membership m
         JOIN (SELECT workspace_id, target_user_id, json_extract(details, '$.role') AS role,
                   row_number() OVER (PARTITION BY workspace_id, target_user_id ORDER BY {written} DESC) AS nth
               FROM audit_event WHERE action IN (6, 7)) e
             ON e.workspace_id = m.workspace_id AND e.target_user_id = m.user_id AND e.nth = 1
         WHERE e.role <> CASE m.role WHEN 1 THEN 'AGENT' WHEN 2 THEN 'MANAGER' WHEN 3 THEN 'ADMIN' ELSE 'OWNER' END",
    ),
    (
        "a change of a role, or an end, began where the last one stopped",
        "SELECT hex(id) FROM
             (SELECT id, action, json_extract(details, '$.previousRole') AS previous,
                  lag(json_extract(details, '$.role')) OVER (PARTITION BY workspace_id, target_user_id ORDER BY {written}) AS was
              FROM audit_event WHERE action IN (6, 7, 8, 9)) AS change
         WHERE action IN (7, 8, 9) AND previous IS DISTINCT FROM was",
    ),
    (
        "a name is the one that was recorded last",
        "SELECT hex(u.id) FROM user_account u
         JOIN (SELECT target_user_id, json_extract(details, '$.name') AS name,
                   row_number() OVER (PARTITION BY target_user_id ORDER BY {written} DESC) AS nth
               FROM audit_event WHERE action = 10) e
             ON e.target_user_id = u.id AND e.nth = 1
         WHERE e.name <> u.display_name",
    ),
    (
        "a session that was not ended stands on an active membership",
        "SELECT hex(s.id) FROM session s
         LEFT JOIN membership m ON m.workspace_id = s.workspace_id AND m.user_id = s.user_id
         WHERE s.ended_at IS NULL AND (m.user_id IS NULL OR m.removed_at IS NOT NULL)",
    ),
    (
        "a session that was not ended has the role of its membership, and one that was has none",
        "SELECT hex(s.id) FROM session s
         JOIN membership m ON m.workspace_id = s.workspace_id AND m.user_id = s.user_id
         WHERE s.role IS DISTINCT FROM CASE WHEN s.ended_at IS NULL THEN m.role END",
    ),
    (
        "each session was recorded when it began",
        "SELECT hex(m.user_id) FROM membership m
         LEFT JOIN (SELECT workspace_id, user_id, count(*) AS n FROM session GROUP BY 1, 2) s
             ON s.workspace_id = m.workspace_id AND s.user_id = m.user_id
         LEFT JOIN (SELECT workspace_id, target_user_id, count(*) AS n FROM audit_event WHERE action IN (6, 11, 12, 18) GROUP BY 1, 2) e
             ON e.workspace_id = m.workspace_id AND e.target_user_id = m.user_id
         WHERE coalesce(s.n, 0) <> coalesce(e.n, 0)",
    ),
    (
        "there is one open invitation for an address at the most",
        "SELECT email FROM invitation WHERE accepted_at IS NULL AND canceled_at IS NULL
         GROUP BY workspace_id, email HAVING count(*) > 1",
    ),
    (
        "an invitation's creation was recorded once",
        "SELECT hex(i.id) FROM invitation i
         LEFT JOIN (SELECT target_invitation_id AS id, count(*) AS n FROM audit_event WHERE action IN (3, 19) GROUP BY 1) e
             ON e.id = i.id
         WHERE coalesce(e.n, 0) <> 1",
    ),
    (
        "each issue of an invitation but the first was recorded",
        "SELECT hex(i.id) FROM invitation i
         LEFT JOIN (SELECT target_invitation_id AS id, count(*) AS n FROM audit_event WHERE action = 4 GROUP BY 1) e
             ON e.id = i.id
         WHERE i.issue <> 1 + coalesce(e.n, 0)",
    ),
    (
        "an invitation was canceled if that was recorded",
        "SELECT hex(i.id) FROM invitation i
         LEFT JOIN (SELECT target_invitation_id AS id, count(*) AS n FROM audit_event WHERE action = 5 GROUP BY 1) e
             ON e.id = i.id
         WHERE coalesce(e.n, 0) <> CASE WHEN i.canceled_at IS NOT NULL THEN 1 ELSE 0 END",
    ),
    (
        "an invitation was accepted if that was recorded",
        "SELECT hex(i.id) FROM invitation i
         LEFT JOIN (SELECT target_invitation_id AS id, count(*) AS n FROM audit_event WHERE action = 6 GROUP BY 1) e
             ON e.id = i.id
         WHERE coalesce(e.n, 0) <> CASE WHEN i.accepted_at IS NOT NULL THEN 1 ELSE 0 END",
    ),
    (
        "whoever accepted an invitation has a membership",
        "SELECT hex(i.id) FROM invitation i
         LEFT JOIN membership m ON m.workspace_id = i.workspace_id AND m.user_id = i.accepted_by
         WHERE i.accepted_at IS NOT NULL AND m.user_id IS NULL",
    ),
    (
        "an open invitation could still be sent by its sender",
        "SELECT hex(i.id) FROM invitation i
         LEFT JOIN membership m ON m.workspace_id = i.workspace_id AND m.user_id = i.invited_by
         WHERE i.accepted_at IS NULL AND i.canceled_at IS NULL AND i.invited_by IS NOT NULL
             AND (m.user_id IS NULL OR m.removed_at IS NOT NULL OR m.role < 3 OR (i.role = 4 AND m.role < 4))",
    ),
    (
        "the newest issue of an invitation has its e-mail in the outbox, unless the operator handed it over",
        "SELECT hex(i.id) FROM invitation i
         LEFT JOIN (SELECT invitation_id, issue, count(*) AS n FROM outbox GROUP BY 1, 2) o
             ON o.invitation_id = i.id AND o.issue = i.issue
         WHERE coalesce(o.n, 0) <> CASE WHEN i.delivery_state IS NOT NULL THEN 1 ELSE 0 END",
    ),
    (
        "an invitation that was sent or handed over has a link",
        "SELECT hex(i.id) FROM invitation i
         LEFT JOIN (SELECT DISTINCT invitation_id, issue FROM invitation_token) t
             ON t.invitation_id = i.id AND t.issue = i.issue
         WHERE (i.delivery_state IS NULL OR i.delivery_state = 2) AND t.invitation_id IS NULL",
    ),
    (
        "an e-mail is settled if its invitation says that it was sent, and waits while an open one says that it is queued",
        "SELECT hex(i.id) FROM invitation i JOIN outbox o ON o.invitation_id = i.id AND o.issue = i.issue
         WHERE (i.delivery_state = 2 AND o.settled_at IS NULL)
             OR (i.delivery_state = 1 AND o.settled_at IS NOT NULL AND i.accepted_at IS NULL AND i.canceled_at IS NULL)",
    ),
    (
        "what a request made is there",
        "SELECT hex(r.request_id) FROM request_record r
         LEFT JOIN invitation i ON i.id = r.resource_id
         LEFT JOIN workspace w ON w.id = r.resource_id
         WHERE i.id IS NULL AND w.id IS NULL",
    ),
];
