import { ApiError, TIMED_OUT, UNREACHABLE, UNREADABLE } from "./error";
import type { Answer, Citation, Learned } from "./types";

/** A language model on a slow machine may think for this long, in milliseconds. */
const PATIENCE = 120_000;

/** The state of the service behind the page, as its own health report has it. */
export interface Health {
  /** `partly`: it is up, and some that it depends on are not. */
  state: "up" | "partly" | "starting" | "down";
  /** Services it depends on that are known not to be well. */
  missing: string[];
}

interface Call {
  key: string;
  signal?: AbortSignal | undefined;
}

/**
 * Asks a question; at most `limit` citations come back.
 * @throws {ApiError} when the service refuses or cannot be reached; an `AbortError` when `signal` fired.
 */
export async function ask(question: string, limit: number, call: Call): Promise<Answer> {
  const body = await request("/api/query", call, { question, limit });
  const { answer, citations, mode } = asObject(body);
  if (typeof answer !== "string" || !Array.isArray(citations)) throw unreadable();
  const result: Answer = { answer, citations: citations.map(asCitation) };
  return typeof mode === "string" ? { ...result, mode } : result;
}

/**
 * Teaches `texts`, each as one fact of its own.
 * @throws {ApiError} as {@link ask} does.
 */
export async function teach(texts: string[], call: Call): Promise<Learned> {
  const { learned, ids } = asObject(await request("/api/learn", call, { texts }));
  if (typeof learned !== "number" || !Array.isArray(ids)) throw unreadable();
  return { learned, ids: ids.map(String) };
}

/**
 * Resolves when the service accepts the key.
 * @throws {ApiError} with status 401 or 403 when it does not.
 */
export async function checkKey(call: Call): Promise<void> {
  await request("/api/stats", call);
}

/** Asks after the service's health; never throws. */
export async function health(signal: AbortSignal): Promise<Health> {
  try {
    const response = await fetch("/api/health", { signal, cache: "no-store" });
    const { status, dependencies } = asObject(await response.json());
    if (!response.ok) return { state: status === "starting" ? "starting" : "down", missing: [] };
    const missing = Object.entries(asObject(dependencies))
      .filter(([, state]) => state !== "ok" && state !== "unknown")
      .map(([name]) => name);
    return { state: missing.length > 0 ? "partly" : "up", missing };
  } catch {
    return { state: "down", missing: [] };
  }
}

async function request(path: string, { key, signal }: Call, body?: object): Promise<unknown> {
  const deadline = AbortSignal.timeout(PATIENCE);
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
    if (deadline.aborted) throw new ApiError(0, TIMED_OUT, `The service did not answer within ${PATIENCE / 1000} s.`);
    throw new ApiError(0, UNREACHABLE, "The service cannot be reached from this browser.");
  }
  const parsed = parse(text);
  if (!response.ok) throw refusal(response, parsed);
  if (parsed === undefined) throw unreadable();
  return parsed;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(response: Response, body: unknown): ApiError {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  const retryAfter = Number.isNaN(seconds) ? undefined : seconds;
  const { code, message } = asObject(asObject(body).error);
  if (typeof code === "string" && typeof message === "string") {
    return new ApiError(response.status, code, message, retryAfter);
  }
  return new ApiError(response.status, UNREADABLE, `The service answered with status ${response.status}.`, retryAfter);
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function asCitation(value: unknown, index: number): Citation {
  const { id, text, score, number } = asObject(value);
  if (typeof text !== "string" || typeof score !== "number") throw unreadable();
  return { id: String(id), text, score, number: typeof number === "number" ? number : index + 1 };
}

function unreadable(): ApiError {
  return new ApiError(200, UNREADABLE, "The service answered in a form this page does not know.");
}
