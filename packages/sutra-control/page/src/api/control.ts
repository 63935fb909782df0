import { ApiError, TIMED_OUT, UNREACHABLE, UNREADABLE } from "./error";
import type { History, Status, Who } from "./types";

/** Timeout of a request in milliseconds. The service checks the others within 2 s; hashing a password takes a moment. */
const TIMEOUT = 15_000;

/**
 * Returns the signed-in operator. If sign-in is impossible, `reason` has the cause.
 * @throws {ApiError} if the request fails.
 */
export async function whoAmI(signal?: AbortSignal): Promise<Who> {
  const { operator, reason } = asObject(await request("GET", "/api/session", { signal }));
  if (typeof operator !== "string" && operator !== null) throw unexpectedResponse();
  return { operator, reason: typeof reason === "string" ? reason : "" };
}

/**
 * Signs in. The session is an HttpOnly cookie.
 * @throws {ApiError} if the password is wrong, after too many failed attempts, or if sign-in is impossible.
 */
export async function signIn(name: string, password: string): Promise<string> {
  return operatorOf(await request("POST", "/api/session", { body: { name, password } }));
}

/** @throws {ApiError} if the request fails. */
export async function signOut(): Promise<void> {
  await request("DELETE", "/api/session", {});
}

/** @throws {ApiError} with `isSignedOut` if the session has ended; others if the request fails. */
export async function readStatus(signal?: AbortSignal): Promise<Status> {
  const body = asObject(await request("GET", "/api/status", { signal }));
  const { services, down, concepts, jobs, images } = body;
  const isComplete = Array.isArray(services) && Array.isArray(down) && concepts && jobs && images;
  if (!isComplete) throw unexpectedResponse();
  return body as unknown as Status;
}

/** @throws {ApiError} like {@link readStatus}. */
export async function readHistory(samples: number, signal?: AbortSignal): Promise<History> {
  const body = asObject(await request("GET", `/api/history?samples=${samples}`, { signal }));
  if (typeof body.services !== "object" || body.services === null) throw unexpectedResponse();
  return body as unknown as History;
}

interface Options {
  body?: object | undefined;
  signal?: AbortSignal | undefined;
}

async function request(method: string, path: string, { body, signal }: Options): Promise<unknown> {
  const deadline = AbortSignal.timeout(TIMEOUT);
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
    if (deadline.aborted) throw new ApiError(0, TIMED_OUT, `Control did not respond within ${TIMEOUT / 1000} s.`);
    throw new ApiError(0, UNREACHABLE, "Cannot reach control from this browser.");
  }
  if (response.status === 204) return undefined;
  const parsed = parse(text);
  if (!response.ok) throw errorOf(response.status, parsed);
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

function errorOf(status: number, body: unknown): ApiError {
  const { code, message } = asObject(asObject(body).error);
  if (typeof code === "string" && typeof message === "string") return new ApiError(status, code, message);
  return new ApiError(status, UNREADABLE, `Control returned status ${status}.`);
}

function operatorOf(body: unknown): string {
  const { operator } = asObject(body);
  if (typeof operator !== "string") throw unexpectedResponse();
  return operator;
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function unexpectedResponse(): ApiError {
  return new ApiError(200, UNREADABLE, "Control returned an unexpected response. Reload the page.");
}
