import { vi } from "vitest";

/** A request of the page. */
export interface SentRequest {
  path: string;
  method: string;
  key: string | null;
  body: unknown;
}

type Reply = { status?: number; body?: unknown; headers?: Record<string, string> } | Error | Promise<never>;

/** Replaces `fetch` with a fake service. Replies are values or functions of the request, by path. */
export function serve(replies: Record<string, Reply | ((seen: SentRequest) => Reply)>): SentRequest[] {
  const seen: SentRequest[] = [];
  const all = { "/api/health": { body: { status: "ok" } }, ...replies };
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
    const request: SentRequest = {
      path,
      method: init.method ?? "GET",
      key: new Headers(init.headers).get("Authorization"),
      body: typeof init.body === "string" ? JSON.parse(init.body) : undefined,
    };
    seen.push(request);
    const found = all[path as keyof typeof all] as Reply | ((seen: SentRequest) => Reply) | undefined;
    if (found === undefined) throw new Error(`no reply for ${path}`);
    const reply = await (typeof found === "function" ? found(request) : found);
    if (reply instanceof Error) throw reply;
    const { status = 200, body, headers = {} } = reply;
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
  });
  return seen;
}

/** An error in the format of the API. */
export function refusal(status: number, code: string, message: string, headers: Record<string, string> = {}) {
  return { status, body: { error: { code, message } }, headers };
}

/** A reply that never arrives. */
export const never = new Promise<never>(() => {});
