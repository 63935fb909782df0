import { vi } from "vitest";
import { Knowledge } from "./knowledge";
import type { FakeResponse, SentRequest } from "./replies";

export { never, refusal, type SentRequest } from "./replies";

type Reply = FakeResponse | Error | Promise<never>;
type Replies = Record<string, Reply | ((seen: SentRequest) => Reply | undefined)>;

/**
 * Replaces `fetch` with a fake service that works like the real one on `knowledge`, but for those paths that have a reply:
 * a value, or a function of the request, which may leave it to the service by returning nothing.
 */
export function serve(replies: Replies = {}, knowledge = new Knowledge()): SentRequest[] {
  const seen: SentRequest[] = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit = {}) => {
    const request = await read(url, init);
    seen.push(request);
    const special = replies[request.path];
    const reply = (typeof special === "function" ? special(request) : special) ?? knowledge.reply(request);
    const { status = 200, body, headers = {} } = await orAborted(reply, init.signal);
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status, headers });
  });
  return seen;
}

/** The requests that were sent to `path`. */
export function sentTo(seen: SentRequest[], path: string, method = "POST"): SentRequest[] {
  return seen.filter((request) => request.path === path && request.method === method);
}

async function read(url: string, init: RequestInit): Promise<SentRequest> {
  const { pathname, searchParams } = new URL(url, "http://sutra.test");
  const headers = new Headers(init.headers);
  const text = init.body instanceof Blob ? await textOf(init.body) : String(init.body ?? "");
  return {
    path: pathname,
    ...(searchParams.size > 0 && { query: Object.fromEntries(searchParams) }),
    method: init.method ?? "GET",
    key: headers.get("Authorization"),
    type: headers.get("Content-Type") ?? "",
    body: typeof init.body === "string" ? JSON.parse(text) : text || undefined,
    bytes: new TextEncoder().encode(text).length,
  };
}

async function textOf(blob: Blob): Promise<string> {
  return new TextDecoder().decode(await blob.arrayBuffer());
}

/** `reply`, or an error like that of `fetch` once the page aborts the request. */
function orAborted(reply: Reply, signal?: AbortSignal | null): Promise<FakeResponse> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    if (reply instanceof Error) reject(reply);
    else Promise.resolve(reply).then(resolve, reject);
  });
}
