import { ApiError, TIMED_OUT, UNREACHABLE, UNREADABLE } from "./error";
import type { Answer, Citation, Learned } from "./types";

/** Timeout of a request in milliseconds. A language model on a slow machine may take this long. */
const TIMEOUT = 120_000;

/** The health of the api service. */
export interface Health {
  /** `partly`: up, but a dependency is not. */
  state: "up" | "partly" | "starting" | "down";
  /** Dependencies that are known to be unavailable. */
  unavailable: string[];
}

interface Call {
  key: string;
  signal?: AbortSignal | undefined;
}

/**
 * Asks a question. The answer has at most `limit` citations.
 * @throws {ApiError} if the request fails; an `AbortError` if `signal` is aborted.
 */
export async function ask(question: string, limit: number, call: Call): Promise<Answer> {
  const body = await request("/api/query", call, { question, limit });
  const { answer, citations, mode } = asObject(body);
  if (typeof answer !== "string" || !Array.isArray(citations)) throw unexpectedResponse();
  const result: Answer = { answer, citations: citations.map(asCitation) };
  return typeof mode === "string" ? { ...result, mode } : result;
}

/**
 * Teaches `texts`, each as a separate fact.
 * @throws {ApiError} like {@link ask}.
 */
export async function teach(texts: string[], call: Call): Promise<Learned> {
  const { learned, ids } = asObject(await request("/api/learn", call, { texts }));
  if (typeof learned !== "number" || !Array.isArray(ids)) throw unexpectedResponse();
  return { learned, ids: ids.map(String) };
}

/**
 * Resolves if the service accepts the key.
 * @throws {ApiError} with status 401 or 403 if it does not.
 */
export async function checkKey(call: Call): Promise<void> {
  await request("/api/stats", call);
}

/** Reads the health of the api service; never throws. */
export async function health(signal: AbortSignal): Promise<Health> {
  try {
    const response = await fetch("/api/health", { signal, cache: "no-store" });
    const { status, dependencies } = asObject(await response.json());
    if (!response.ok) return { state: status === "starting" ? "starting" : "down", unavailable: [] };
    const unavailable = Object.entries(asObject(dependencies))
      .filter(([, state]) => state !== "ok" && state !== "unknown")
      .map(([name]) => name);
    return { state: unavailable.length > 0 ? "partly" : "up", unavailable };
  } catch {
    return { state: "down", unavailable: [] };
  }
}

async function request(path: string, { key, signal }: Call, body?: object): Promise<unknown> {
  const deadline = AbortSignal.timeout(TIMEOUT);
  const init: RequestInit = {
    method: body ? "POST" : "GET",
    headers: { Authorization: `Bearer ${key}`, ...(body && { "Content-Type": "application/json" }) },
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
  };
  if (body) init.body = JSON.stringify(body);
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, init);
    text = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw cause;
    if (deadline.aborted) throw new ApiError(0, TIMED_OUT, `The service did not respond within ${TIMEOUT / 1000} s.`);
    throw new ApiError(0, UNREACHABLE, "Cannot reach the service from this browser.");
  }
  const parsed = parse(text);
  if (!response.ok) throw errorOf(response, parsed);
  if (parsed === undefined) throw unexpectedResponse();
  return parsed;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function errorOf(response: Response, body: unknown): ApiError {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const retryAfter = Number.isNaN(seconds) ? undefined : seconds;
  const { code, message } = asObject(asObject(body).error);
  if (typeof code === "string" && typeof message === "string") {
    return new ApiError(response.status, code, message, retryAfter);
  }
  return new ApiError(response.status, UNREADABLE, `The service returned status ${response.status}.`, retryAfter);
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function asCitation(value: unknown, index: number): Citation {
  const { id, text, score, number } = asObject(value);
  if (typeof text !== "string" || typeof score !== "number") throw unexpectedResponse();
  return { id: String(id), text, score, number: typeof number === "number" ? number : index + 1 };
}

function unexpectedResponse(): ApiError {
  return new ApiError(200, UNREADABLE, "The service returned an unexpected response.");
}
