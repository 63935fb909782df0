import { asObject, request, unexpectedResponse } from "./request";
import type { History, PasswordRules, Status, Who } from "./types";

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

/** @throws {ApiError} like {@link readStatus}. */
export async function readPasswordRules(signal?: AbortSignal): Promise<PasswordRules> {
  const body = asObject(await request("GET", "/api/password", { signal }));
  if (typeof body.reason !== "string" || typeof body.min_characters !== "number") throw unexpectedResponse();
  return body as unknown as PasswordRules;
}

/**
 * Changes one's own password and returns the number of sessions that have ended elsewhere.
 * @throws {ApiError} if the current password is wrong, the new one too weak, or passwords cannot be stored.
 */
export async function changePassword(current: string, next: string): Promise<number> {
  const body = asObject(await request("POST", "/api/password", { body: { current, new: next } }));
  if (typeof body.ended_sessions !== "number") throw unexpectedResponse();
  // One of them was that of this browser, which has got a new one.
  return Math.max(0, body.ended_sessions - 1);
}

function operatorOf(body: unknown): string {
  const { operator } = asObject(body);
  if (typeof operator !== "string") throw unexpectedResponse();
  return operator;
}
