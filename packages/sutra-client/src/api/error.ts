/** Code of an error that never reached the service: no connection, or the answer broke off. */
export const UNREACHABLE = "unreachable";
/** Code of an answer that is not what the service's contract promises. */
export const UNREADABLE = "unreadable_answer";
/** Code of an answer that did not come in time. */
export const TIMED_OUT = "timed_out";

/** A request that failed, in the words of whoever refused it. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status; 0 when there was no answer at all. */
  readonly status: number;
  /** The service's own code, or one of this file's. */
  readonly code: string;
  /** Seconds after which the service wants to be asked again, when it says so. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: string, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether the API key is what was refused. */
  get isAboutTheKey(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

// How a service that another one needs is told to have failed: `hybrid_unreachable`, and so on.
const PART = /^(\w+)_(unreachable|unavailable|not_ready|timeout|failed)$/;
const WORDS: Record<string, string> = {
  unreachable: "is down",
  unavailable: "is down",
  not_ready: "is not ready",
  timeout: "does not answer in time",
  failed: "has failed",
};

/** What went wrong, for somebody who knows nothing of headers and addresses. */
export function headline(error: ApiError): string {
  if (error.isAboutTheKey) return "Sutra does not accept this key.";
  const [, part, how] = PART.exec(error.code) ?? [];
  if (part && how && [502, 503, 504].includes(error.status))
    return `Sutra cannot do this now: its service ${part} ${WORDS[how]}.`;
  return error.message.charAt(0).toUpperCase() + error.message.slice(1);
}

/** What the person can do about `error`. */
export function remedy(error: ApiError): string {
  if (error.isAboutTheKey) return "Check your API key, or ask whoever runs this service for one.";
  switch (error.status) {
    case 0:
      return "Check your connection, then try again. What you typed is still here.";
    case 400:
    case 422:
      return "Change what you typed, then send it again.";
    case 404:
    case 405:
      return "This page and the service may be of different versions; reload the page.";
    case 413:
      return "Send less at once: split the text into several parts.";
    case 429:
      return error.retryAfter === undefined
        ? "Wait a little, then try again."
        : `Wait ${error.retryAfter} ${error.retryAfter === 1 ? "second" : "seconds"}, then try again.`;
    case 502:
    case 503:
    case 504:
      return "What you typed is still here; try again shortly.";
    default:
      return "Try again; if it stays, tell whoever runs this service.";
  }
}
