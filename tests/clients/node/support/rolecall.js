// The real `rolecall` program, run as its operator would run it.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import PostalMime from "postal-mime";

export const REPOSITORY = fileURLToPath(new URL("../../../../", import.meta.url));

const START_MS = 30_000;
const STOP_MS = 20_000;
const LINK = /http:\/\/127\.0\.0\.1:8080\/setup#token=(rci_[A-Za-z0-9_-]{43})/g;

/** The program under test: `ROLECALL_BIN`, else what `cargo build` leaves behind. */
function binary() {
  const target = path.resolve(REPOSITORY, process.env.CARGO_TARGET_DIR ?? "target");
  return path.resolve(process.env.ROLECALL_BIN ?? path.join(target, "debug", "rolecall"));
}

/** The environment without settings that would change what the program does. */
function cleanEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ROLECALL_")));
}

/** One deployment in `folder`: a database, the commands that work on it, a server, and the e-mails that it writes. */
export class Rolecall {
  #child;
  #log = "";

  constructor(folder) {
    this.folder = folder;
    this.mailFolder = path.join(folder, "mail");
    this.databaseUrl = `sqlite://${path.join(folder, "rolecall.db")}`;
  }

  /** Runs a command to its end and answers what it printed. */
  async run(...args) {
    const options = { cwd: this.folder, env: cleanEnvironment() };
    const { stdout } = await promisify(execFile)(binary(), [...args, "--database-url", this.databaseUrl], options);
    return stdout;
  }

  async bootstrap(workspace, owner) {
    return JSON.parse(await this.run("bootstrap", "--workspace", workspace, "--owner", owner, "--json"));
  }

  async createServiceKey(name, ...scopes) {
    const printed = await this.run("service-key", "create", name, ...scopes.map((scope) => `--scope=${scope}`));
    return printed.match(/rck_[A-Za-z0-9_-]{43}/)[0];
  }

  /** Starts the server and answers its address. */
  async serve() {
    const args = [
      "serve",
      `--database-url=${this.databaseUrl}`,
      "--grpc-listen=127.0.0.1:0",
      `--mail-url=file:${this.mailFolder}`,
    ];
    this.#child = spawn(binary(), args, {
      cwd: this.folder,
      env: cleanEnvironment(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child.stderr.on("data", (data) => (this.#log += data));
    const lines = createInterface({ input: this.#child.stdout });
    return new Promise((resolve, reject) => {
      const fail = (why) => reject(new Error(`${why}\n${this.#log}`));
      const timer = setTimeout(() => fail(`not listening after ${START_MS} ms`), START_MS);
      this.#child.once("error", (error) => fail(`the program does not start: ${error.message}`));
      this.#child.once("exit", (status) => fail(`ended before it listened, with ${status}`));
      lines.on("line", (line) => {
        const listening = /^listening on (\S+:\d+)$/.exec(line.trim());
        if (listening) {
          clearTimeout(timer);
          resolve(listening[1]);
        }
      });
    });
  }

  /** Asks the server to stop (SIGTERM, to this one process); answers its exit status, and its log. */
  async stop() {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) {
      return { status: child?.exitCode, log: this.#log };
    }
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    child.kill("SIGTERM");
    const [status] = await once(child, "exit");
    clearTimeout(timer);
    return { status, log: this.#log };
  }

  /** The e-mails written so far. A file appears whole or not at all. */
  async mails() {
    const names = (await readdir(this.mailFolder)).filter((name) => name.endsWith(".eml"));
    return Promise.all(names.map(async (name) => PostalMime.parse(await readFile(path.join(this.mailFolder, name)))));
  }
}

/** The token of the one link that an e-mail leads to. */
export function tokenIn(mail) {
  const tokens = new Set([...mail.text.matchAll(LINK)].map((match) => match[1]));
  if (tokens.size !== 1) {
    throw new Error(`the e-mail has ${tokens.size} set-up links`);
  }
  return [...tokens][0];
}
