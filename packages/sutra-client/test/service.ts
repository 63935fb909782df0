import { vi } from "vitest";

/** What the page sent. */
export interface Seen {
  path: string;
  method: string;
  key: string | null;
  body: unknown;
}

type Reply = { status?: number; body?: unknown; headers?: Record<string, string> } | Error | Promise<never>;

/** A service behind `fetch`: replies by path, each either a value or made from what was sent. */
export function serve(replies: Record<string, Reply | ((seen: Seen) => Reply)>): Seen[] {
  const seen: Seen[] = [];
  const all = { "/api/health": { body: { status: "ok" } }, ...replies };
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
    const request: Seen = {
      path,
      method: init.method ?? "GET",
      key: new Headers(init.headers).get("Authorization"),
      body: typeof init.body === "string" ? JSON.parse(init.body) : undefined,
    };
    seen.push(request);
    const found = all[path as keyof typeof all] as Reply | ((seen: Seen) => Reply) | undefined;
    if (found === undefined) throw new Error(`the test's service knows nothing at ${path}`);
    const reply = await (typeof found === "function" ? found(request) : found);
    if (reply instanceof Error) throw reply;
    const { status = 200, body, headers = {} } = reply;
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
  });
  return seen;
}

/** An error in the shape of the service's contract. */
export function refusal(status: number, code: string, message: string, headers: Record<string, string> = {}) {
  return { status, body: { error: { code, message } }, headers };
}

/** A reply that never comes. */
export const never = new Promise<never>(() => {});
