import { ApiError, TIMED_OUT, UNREACHABLE, UNREADABLE } from "./error";
import type { History, Status, Who } from "./types";

/** Milliseconds: the service's own deadline for the others is 2 s, and a password takes a moment. */
const PATIENCE = 15_000;

/**
 * Who is signed in; when nobody is, `reason` says why nobody can be, if that is so.
 * @throws {ApiError} when the service cannot be asked.
 */
export async function whoAmI(signal?: AbortSignal): Promise<Who> {
  const { operator, reason } = asObject(await request("GET", "/api/session", { signal }));
  if (typeof operator !== "string" && operator !== null) throw unreadable();
  return { operator, reason: typeof reason === "string" ? reason : "" };
}

/**
 * Signs in; the browser keeps the session as a cookie that no script can read.
 * @throws {ApiError} when the password is wrong, too many were, or nobody can sign in.
 */
export async function signIn(name: string, password: string): Promise<string> {
  return operatorOf(await request("POST", "/api/session", { body: { name, password } }));
}

/** @throws {ApiError} when the service cannot be told. */
export async function signOut(): Promise<void> {
  await request("DELETE", "/api/session", {});
}

/** @throws {ApiError} with `isSignedOut` when the session is over; others when the service cannot be asked. */
export async function readStatus(signal?: AbortSignal): Promise<Status> {
  const body = asObject(await request("GET", "/api/status", { signal }));
  const { services, down, concepts, jobs, images } = body;
  const isWhole = Array.isArray(services) && Array.isArray(down) && concepts && jobs && images;
  if (!isWhole) throw unreadable();
  return body as unknown as Status;
}

/** @throws {ApiError} as {@link readStatus} does. */
export async function readHistory(samples: number, signal?: AbortSignal): Promise<History> {
  const body = asObject(await request("GET", `/api/history?samples=${samples}`, { signal }));
  if (typeof body.services !== "object" || body.services === null) throw unreadable();
  return body as unknown as History;
}

interface Options {
  body?: object | undefined;
  signal?: AbortSignal | undefined;
}

async function request(method: string, path: string, { body, signal }: Options): Promise<unknown> {
  const deadline = AbortSignal.timeout(PATIENCE);
  const init: RequestInit = {
    method,
    cache: "no-store",
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  };
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, init);
    text = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw cause;
    if (deadline.aborted) throw new ApiError(0, TIMED_OUT, `control did not answer within ${PATIENCE / 1000} s.`);
    throw new ApiError(0, UNREACHABLE, "control cannot be reached from this browser.");
  }
  if (response.status === 204) return undefined;
  const parsed = parse(text);
  if (!response.ok) throw refusal(response.status, parsed);
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

function refusal(status: number, body: unknown): ApiError {
  const { code, message } = asObject(asObject(body).error);
  if (typeof code === "string" && typeof message === "string") return new ApiError(status, code, message);
  return new ApiError(status, UNREADABLE, `control answered with status ${status}.`);
}

function operatorOf(body: unknown): string {
  const { operator } = asObject(body);
  if (typeof operator !== "string") throw unreadable();
  return operator;
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function unreadable(): ApiError {
  return new ApiError(200, UNREADABLE, "control answered in a form this page does not know; reload the page.");
}
