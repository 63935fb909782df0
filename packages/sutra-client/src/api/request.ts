import { ApiError, TIMED_OUT, UNREACHABLE, UNREADABLE } from "./error";

/**
 * Timeout of a request in milliseconds: longer than those of nginx and of the api service, whose errors say more. Teaching
 * and a language model on a slow machine may take minutes.
 */
const TIMEOUT = 140_000;

/** What every call needs. */
export interface Call {
  key: string;
  signal?: AbortSignal | undefined;
}

interface Options {
  /** GET by default, POST with a body. */
  method?: "DELETE";
  /** Sent as JSON. */
  json?: string | undefined;
  /** Sent as it is, with a media type; the timeout does not apply, because an upload may take any time. */
  file?: { content: Blob; type: string } | undefined;
}

/**
 * Sends a request to the API and returns the JSON of the response.
 * @throws {ApiError} if the request fails; an `AbortError` if the signal of the call is aborted.
 */
export async function request(path: string, { key, signal }: Call, options: Options = {}): Promise<unknown> {
  const { json, file } = options;
  const deadline = file ? new AbortController().signal : AbortSignal.timeout(TIMEOUT);
  const type = json === undefined ? file?.type : "application/json";
  const body = json ?? file?.content;
  const init: RequestInit = {
    method: options.method ?? (body === undefined ? "GET" : "POST"),
    headers: { Authorization: `Bearer ${key}`, ...(type && { "Content-Type": type }) },
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
  };
  if (body !== undefined) init.body = body;
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

/** `path` with those parameters that are set. */
export function withParameters(path: string, parameters: Record<string, string | number | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) query.set(name, String(value));
  return query.size > 0 ? `${path}?${query}` : path;
}

/** The fields of `value`; none if it is not an object. */
export function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** `value` as a list of `T`. */
export function asList<T>(value: unknown, read: (item: unknown, index: number) => T): T[] {
  if (!Array.isArray(value)) throw unexpectedResponse();
  return value.map(read);
}

/** Those of `names` that are texts in `fields`. */
export function texts<Name extends string>(
  fields: Record<string, unknown>,
  ...names: Name[]
): Partial<Record<Name, string>> {
  const result: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const value = fields[name];
    if (typeof value === "string" && value !== "") result[name] = value;
  }
  return result;
}

/** The error for a response that does not match the API. */
export function unexpectedResponse(): ApiError {
  return new ApiError(200, UNREADABLE, "The service returned an unexpected response.");
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
