import { vi } from "vitest";
import type { Service, Status } from "../src/api/types";

/** What the page sent. */
export interface Seen {
  path: string;
  method: string;
  body: unknown;
}

export type Reply = { status?: number; body?: unknown } | Error | Promise<never>;

/** A service behind `fetch`: replies by method and path, each either a value or made from what was sent. */
export function serve(replies: Record<string, Reply | ((seen: Seen) => Reply)>): Seen[] {
  const seen: Seen[] = [];
  const all: typeof replies = { "GET /api/session": { body: { operator: "anna" } }, ...replies };
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
    const method = init.method ?? "GET";
    const request: Seen = {
      path,
      method,
      body: typeof init.body === "string" ? JSON.parse(init.body) : undefined,
    };
    seen.push(request);
    const found = all[`${method} ${path}`];
    if (found === undefined) throw new Error(`the test's service knows nothing at ${method} ${path}`);
    const reply = await (typeof found === "function" ? found(request) : found);
    if (reply instanceof Error) throw reply;
    const { status = 200, body } = reply;
    const content = status === 204 ? null : typeof body === "string" ? body : JSON.stringify(body);
    return new Response(content, { status });
  });
  return seen;
}

/** An error in the shape of the service's contract. */
export function refusal(status: number, code: string, message: string) {
  return { status, body: { error: { code, message } } };
}

/** What a browser says when nobody listens. */
export const lost = new TypeError("Failed to fetch");

const NAMES = ["client", "api", "hybrid", "embedding", "storage", "nlg", "bulk-ingester", "control"];

/** One service that is well, but for what is given. */
export function service(name: string, given: Partial<Service> = {}): Service {
  return {
    name,
    does: `what ${name} does`,
    url: `http://${name}:1`,
    state: "ok",
    reason: "",
    ms: 3.2,
    version: "0.1.0",
    edition: "simple",
    dependencies: {},
    limits: {},
    availability: { up: 60, of: 60 },
    ...given,
  };
}

/** A status in which all is well, but for the services and the fields that are given. */
export function status(services: Record<string, Partial<Service>> = {}, given: Partial<Status> = {}): Status {
  const all = NAMES.map((name) => service(name, services[name]));
  return {
    checked_at: "2026-01-01T12:00:00Z",
    version: "0.1.0",
    edition: "simple",
    capabilities: ["status"],
    limits: { history_samples: 60 },
    sample_every_s: 10,
    down: all.filter(({ state }) => state !== "ok").map(({ name }) => name),
    services: all,
    concepts: { reason: "", numbers: { concepts: 12345, bytes_on_disk: 4_200_000 } },
    jobs: { reason: "", jobs: [], more: false },
    images: { state: "absent", reason: "no image sizes were handed over", images: [] },
    ...given,
  };
}

export const down: Partial<Service> = {
  state: "unreachable",
  reason: "nlg cannot be reached at http://nlg:1; start it",
  ms: null,
  version: null,
  edition: null,
  availability: { up: 58, of: 60 },
};
