import { vi } from "vitest";
import type { Metrics, Service, Status } from "../src/api/types";

/** A request of the page. */
export interface SentRequest {
  path: string;
  method: string;
  body: unknown;
  /** A body that is a file. */
  file?: Blob;
}

export type Reply = { status?: number; body?: unknown } | Error | Promise<never>;

/**
 * Replaces `fetch` with a fake service. Replies are values or functions of the request, by method and path; a path without
 * a query is for all queries.
 */
export function serve(replies: Record<string, Reply | ((request: SentRequest) => Reply)>): SentRequest[] {
  const seen: SentRequest[] = [];
  const all: typeof replies = { "GET /api/session": { body: { operator: "anna" } }, ...replies };
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
    const method = init.method ?? "GET";
    const request: SentRequest = {
      path,
      method,
      body: typeof init.body === "string" ? JSON.parse(init.body) : undefined,
      ...(init.body instanceof Blob && { file: init.body }),
    };
    seen.push(request);
    const found = all[`${method} ${path}`] ?? all[`${method} ${path.split("?")[0]}`];
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

/**
 * A list that honours `limit` and `cursor`: `name` is the field of the entries, `key` what identifies one. A cursor that it
 * has not given is refused.
 */
export function paged<T extends object>(name: string, entries: () => T[], key: keyof T, pageSize: number) {
  return ({ path }: SentRequest): Reply => {
    const query = new URL(path, "http://control").searchParams;
    const limit = Number(query.get("limit") ?? pageSize);
    const cursor = query.get("cursor");
    const source = query.get("source");
    const all = entries().filter((entry) => source === null || (entry as { source?: string }).source === source);
    const before = cursor === null ? -1 : all.findIndex((entry) => `after ${String(entry[key])}` === cursor);
    if (cursor !== null && before < 0) return refusal(400, "invalid_cursor", `invalid cursor: ${cursor}`);
    const shown = all.slice(before + 1, before + 1 + limit);
    const last = shown.at(-1);
    const hasMore = before + 1 + shown.length < all.length;
    return { body: { [name]: shown, next: hasMore && last ? `after ${String(last[key])}` : null, more: hasMore } };
  };
}
