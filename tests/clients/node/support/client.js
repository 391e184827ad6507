// What a Node client of Rolecall writes once: stubs, credentials, and how to read a refusal.

import path from "node:path";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import protobuf from "protobufjs";
import { REPOSITORY } from "./rolecall.js";

const CALL_MS = 30_000;
const SERVICES = ["Access", "Audit", "Invitation", "Session", "User", "Workspace"];

const definition = protoLoader.loadSync(
  SERVICES.map((name) => `rolecall/v1/${name.toLowerCase()}_service.proto`),
  { includeDirs: [path.join(REPOSITORY, "proto")], enums: String, defaults: true, oneofs: true },
);
const { v1 } = grpc.loadPackageDefinition(definition).rolecall;

// The parts of google/rpc/status.proto and google/rpc/error_details.proto that Rolecall's errors are made of.
const rpc = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
  message BadRequest {
    message FieldViolation { string field = 1; string description = 2; string reason = 3; }
    repeated FieldViolation field_violations = 1;
  }
`).root;

/** An error of Rolecall, decoded from the trailer `grpc-status-details-bin`. */
export class Refusal extends Error {
  constructor(error, method) {
    super(`${method}: ${error.message}`);
    this.code = grpc.status[error.code];
    this.fields = {};
    const [trailer] = error.metadata?.get("grpc-status-details-bin") ?? [];
    for (const detail of trailer ? rpc.lookupType("google.rpc.Status").decode(trailer).details : []) {
      const name = detail.typeUrl.split("/").pop();
      if (name === "google.rpc.ErrorInfo") {
        const { reason, domain, metadata } = rpc.lookupType(name).decode(detail.value);
        Object.assign(this, { reason, domain, metadata });
      }
      if (name === "google.rpc.BadRequest") {
        for (const violation of rpc.lookupType(name).decode(detail.value).fieldViolations) {
          this.fields[violation.field] = violation.reason;
        }
      }
    }
  }
}

/** Clients of all services: `client.users.ListUsers(request, token)` answers a promise. */
export function connect(address) {
  const stubs = SERVICES.map((name) => new v1[`${name}Service`](address, grpc.credentials.createInsecure()));
  const [access, audit, invitations, sessions, users, workspaces] = stubs.map(promised);
  return {
    ...{ access, audit, invitations, sessions, users, workspaces },
    close: () => stubs.forEach((stub) => stub.close()),
  };
}

function promised(stub) {
  return new Proxy(stub, {
    get: (_, method) => (request, token) =>
      new Promise((resolve, reject) => {
        const metadata = new grpc.Metadata();
        if (token) {
          metadata.set("authorization", `Bearer ${token}`);
        }
        stub[method](request, metadata, { deadline: Date.now() + CALL_MS }, (error, answer) =>
          error ? reject(error) : resolve(answer),
        );
      }).catch((error) => {
        throw new Refusal(error, method);
      }),
  });
}
