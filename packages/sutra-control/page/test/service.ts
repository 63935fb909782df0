import { vi } from "vitest";
import type { Metrics, Service, Status } from "../src/api/types";

/** A request of the page. */
export interface SentRequest {
  path: string;
  method: string;
  body: unknown;
}

export type Reply = { status?: number; body?: unknown } | Error | Promise<never>;

/** Replaces `fetch` with a fake service. Replies are values or functions of the request, by method and path. */
export function serve(replies: Record<string, Reply | ((request: SentRequest) => Reply)>): SentRequest[] {
  const seen: SentRequest[] = [];
  const all: typeof replies = { "GET /api/session": { body: { operator: "anna" } }, ...replies };
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
    const method = init.method ?? "GET";
    const request: SentRequest = {
      path,
      method,
      body: typeof init.body === "string" ? JSON.parse(init.body) : undefined,
    };
    seen.push(request);
    const found = all[`${method} ${path}`];
    if (found === undefined) throw new Error(`no reply for ${method} ${path}`);
    const reply = await (typeof found === "function" ? found(request) : found);
    if (reply instanceof Error) throw reply;
    const { status = 200, body } = reply;
    const content = status === 204 ? null : typeof body === "string" ? body : JSON.stringify(body);
    return new Response(content, { status });
  });
  return seen;
}

/** An error in the format of the API. */
export function refusal(status: number, code: string, message: string) {
  return { status, body: { error: { code, message } } };
}

/** The error of a browser without a connection. */
export const connectionError = new TypeError("Failed to fetch");

/** Metrics before anything is known. */
export const unmeasured: Metrics = {
  reason: "",
  source: null,
  seconds: null,
  requests: null,
  errors: null,
  p50: null,
  p95: null,
  cpu_percent: null,
  gauges: null,
};

const NAMES = ["client", "api", "hybrid", "embedding", "storage", "nlg", "bulk-ingester", "control"];

/** A service that is up, with overrides. */
export function service(name: string, overrides: Partial<Service> = {}): Service {
  return {
    name,
    does: `description of ${name}`,
    url: `http://${name}:1`,
    state: "ok",
    reason: "",
    ms: 3.2,
    version: "0.1.0",
    edition: "simple",
    dependencies: {},
    limits: {},
    availability: { up: 60, of: 60 },
    metrics: { ...unmeasured, reason: "/metrics answered 404" },
    ...overrides,
  };
}

/** A status with all services up, with overrides for services and fields. */
export function status(services: Record<string, Partial<Service>> = {}, overrides: Partial<Status> = {}): Status {
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
    images: { state: "absent", reason: "no image sizes recorded", images: [] },
    ...overrides,
  };
}

export const down: Partial<Service> = {
  state: "unreachable",
  reason: "cannot reach nlg at http://nlg:1; start it",
  ms: null,
  version: null,
  edition: null,
  availability: { up: 58, of: 60 },
};
