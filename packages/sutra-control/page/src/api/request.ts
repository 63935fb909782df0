import { ApiError, TIMED_OUT, UNREACHABLE, UNREADABLE } from "./error";

/** Timeout of a request in milliseconds. The service checks the others within 2 s; hashing a password takes a moment. */
const TIMEOUT = 15_000;
/** Timeout of requests that control passes on with a deadline of 60 s: a large source takes a while to delete. */
export const LONG_TIMEOUT = 70_000;

interface Options {
  /** Sent as JSON; a file is sent as it is. */
  body?: object | undefined;
  signal?: AbortSignal | undefined;
  /** Milliseconds; null for none. */
  timeout?: number | null;
}

/**
 * Sends a request to control; returns undefined for a response without a body.
 * @throws {ApiError} if it fails. If `signal` is aborted, its reason is thrown.
 */
export async function request(
  method: string,
  path: string,
  { body, signal, timeout = TIMEOUT }: Options = {},
): Promise<unknown> {
  const deadline = timeout === null ? new AbortController().signal : AbortSignal.timeout(timeout);
  const init: RequestInit = {
    method,
    cache: "no-store",
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    ...(body && content(body)),
  };
  let response: Response;
  let text: string;
  try {
    response = await fetch(path, init);
    text = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw cause;
    if (deadline.aborted)
      throw new ApiError(0, TIMED_OUT, `Control did not respond within ${(timeout ?? 0) / 1000} s.`);
    throw new ApiError(0, UNREACHABLE, "Cannot reach control from this browser.");
  }
  if (response.status === 204) return undefined;
  const parsed = parse(text);
  if (!response.ok) throw errorOf(response.status, parsed);
  if (parsed === undefined) throw unexpectedResponse();
  return parsed;
}

function content(body: object): RequestInit {
  if (body instanceof Blob) return { headers: { "Content-Type": "application/x-ndjson" }, body };
  return { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
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

/** `value`, or an object without fields if it is none. */
export function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** The error for a response that does not match the API. */
export function unexpectedResponse(): ApiError {
  return new ApiError(200, UNREADABLE, "Control returned an unexpected response. Reload the page.");
}
