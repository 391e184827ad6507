// The job that Rolecall is there for, done by a Node client. Each test has a deployment of its own.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "./support/client.js";
import { Rolecall, tokenIn } from "./support/rolecall.js";

const PASSWORD = "violet kettle orbit 77 lamp";
const POLL_MS = 20;
const DELIVERY_MS = 30_000;
const LIMIT = { timeout: 120_000 };

let server;
let client;
let workspaceId;
let owner;

beforeEach(async () => {
  server = new Rolecall(await mkdtemp(path.join(tmpdir(), "rolecall-node-")));
  const made = await server.bootstrap("Acme", "owner@acme.example");
  client = connect(await server.serve());
  workspaceId = made.workspace_id;
  owner = await accept(made.invitation_token, "Olive Owner");
});

afterEach(async () => {
  client?.close();
  const { status, log } = await server.stop();
  await rm(server.folder, { recursive: true });
  assert.equal(status, 0, `exit status ${status} after SIGTERM\n${log}`);
});

function accept(token, displayName) {
  return client.invitations.AcceptInvitation({
    invitationToken: token,
    displayName,
    password: PASSWORD,
  });
}

/** Has the Owner invite somebody; answers the e-mail once Rolecall says that it was sent. */
async function invite(email, role) {
  const created = await client.invitations.CreateInvitation({ email, role }, owner.sessionToken);
  const { invitationId } = created.invitation;
  const deadline = Date.now() + DELIVERY_MS;
  for (;;) {
    const { invitation } = await client.invitations.GetInvitation({ invitationId }, owner.sessionToken);
    if (invitation.delivery.state === "DELIVERY_STATE_SENT") {
      break;
    }
    assert.equal(invitation.delivery.state, "DELIVERY_STATE_QUEUED", invitation.delivery.lastError);
    assert.ok(Date.now() < deadline, `no e-mail was sent within ${DELIVERY_MS} ms`);
    await pause(POLL_MS);
  }
  const mails = (await server.mails()).filter((mail) => mail.to.some((to) => to.address === email));
  assert.equal(mails.length, 1);
  return mails[0];
}

function check(serviceKey, sessionToken, permission) {
  return client.access.CheckAccess({ sessionToken, permission }, serviceKey);
}

test("from an e-mailed invitation to a right that is taken away at once", LIMIT, async () => {
  const mail = await invite("ana@acme.example", "ROLE_AGENT");
  assert.match(mail.subject, /Acme/);
  const invitationToken = tokenIn(mail);

  const seen = await client.invitations.PreviewInvitation({ invitationToken });
  assert.equal(seen.workspaceName, "Acme");
  assert.equal(seen.inviterDisplayName, "Olive Owner");
  assert.equal(seen.role, "ROLE_AGENT");

  const ana = await accept(invitationToken, "Ana Agent");
  const { sessionToken, workspace } = await client.sessions.SignIn({ email: "ana@acme.example", password: PASSWORD });
  assert.equal(workspace.workspaceId, workspaceId);

  const key = await server.createServiceKey("reports", "check-access");
  const denied = await check(key, sessionToken, "PERMISSION_REPORTS_VIEW");
  assert.equal(denied.allowed, false);
  assert.equal(denied.denial.reason, "DENIAL_REASON_ROLE_TOO_LOW");
  assert.equal(denied.denial.lowestSufficientRole, "ROLE_MANAGER");

  const { userId } = ana.user;
  await client.users.ChangeUserRole({ userId, role: "ROLE_MANAGER" }, owner.sessionToken);
  const allowed = await check(key, sessionToken, "PERMISSION_REPORTS_VIEW");
  assert.equal(allowed.allowed, true);
  assert.equal(allowed.role, "ROLE_MANAGER");
  assert.equal(allowed.userId, userId);

  const removed = await client.users.RemoveUser({ userId }, owner.sessionToken);
  assert.equal(removed.endedSessionCount, 2);
  const ended = await check(key, sessionToken, "PERMISSION_REPORTS_VIEW");
  assert.equal(ended.allowed, false);
  assert.equal(ended.denial.reason, "DENIAL_REASON_SESSION_ENDED");
  await assert.rejects(client.sessions.GetSession({}, sessionToken), {
    code: "UNAUTHENTICATED",
    domain: "rolecall",
    reason: "SESSION_ENDED",
  });

  const { events } = await client.audit.ListAuditEvents({ targetUserId: userId }, owner.sessionToken);
  assert.equal(events[0].action, "AUDIT_ACTION_USER_REMOVED");
  assert.equal(events[0].actor.userId, owner.user.userId);
  const { user } = await client.users.GetUser({ userId }, owner.sessionToken);
  assert.equal(user.displayName, "Ana Agent");
  assert.equal(user.state, "USER_STATE_REMOVED");
});

test("a refusal tells a program what was wrong", LIMIT, async () => {
  await assert.rejects(client.sessions.GetSession({}), {
    code: "UNAUTHENTICATED",
    domain: "rolecall",
    reason: "CREDENTIAL_MISSING",
  });
  await assert.rejects(client.invitations.CreateInvitation({ email: "not an address" }, owner.sessionToken), (error) => {
    assert.equal(error.code, "INVALID_ARGUMENT");
    assert.equal(error.reason, "FIELD_INVALID");
    assert.deepEqual(Object.keys(error.fields).sort(), ["email", "role"]);
    return true;
  });

  const ana = await accept(tokenIn(await invite("ana@acme.example", "ROLE_AGENT")), "Ana Agent");
  await assert.rejects(client.users.ListUsers({}, ana.sessionToken), (error) => {
    assert.equal(error.code, "PERMISSION_DENIED");
    assert.equal(error.reason, "ROLE_TOO_LOW");
    assert.deepEqual({ ...error.metadata }, { requiredRole: "ADMIN", actualRole: "AGENT" });
    return true;
  });
});
