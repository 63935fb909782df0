/** Error code: no connection, or the connection was lost. */
export const UNREACHABLE = "unreachable";
/** Error code: the response does not match the API. */
export const UNREADABLE = "unreadable_answer";
/** Error code: no response in time. */
export const TIMED_OUT = "timed_out";

/** A failed request, with the service's message. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status; 0 without a response. */
  readonly status: number;
  /** The service's code, or one of the codes above. */
  readonly code: string;
  /** Value of the Retry-After header in seconds, if present. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: string, message: string, retryAfter?: number) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether the API key was rejected. */
  get isKeyError(): boolean {
    return this.status === 401 || (this.status === 403 && !this.isEditionError);
  }

  /** Whether this edition cannot do what was asked. */
  get isEditionError(): boolean {
    return this.code === "not_in_edition";
  }
}

/** Whether the service could not be reached or failed, so that its health may have changed. */
export function isServiceFailure({ status }: ApiError): boolean {
  return status === 0 || status >= 500;
}

// Codes of failed dependencies, such as `hybrid_unreachable`.
const DEPENDENCY_ERROR = /^(\w+)_(unreachable|unavailable|not_ready|timeout|failed)$/;
const DEPENDENCY_STATE: Record<string, string> = {
  unreachable: "is down",
  unavailable: "is down",
  not_ready: "is not ready",
  timeout: "did not respond in time",
  failed: "failed",
};

/** What went wrong, for people without technical knowledge. */
export function headline(error: ApiError): string {
  if (error.isKeyError) return "Sutra rejected this API key.";
  const [, service, state] = DEPENDENCY_ERROR.exec(error.code) ?? [];
  if (service && state && [502, 503, 504].includes(error.status))
    return `Sutra cannot do this right now: the ${service} service ${DEPENDENCY_STATE[state]}.`;
  return error.message.charAt(0).toUpperCase() + error.message.slice(1);
}

/** How to fix `error`. */
export function remedy(error: ApiError): string {
  if (error.isKeyError) return "Check your API key, or ask the administrator of this service for one.";
  if (error.isEditionError) return "Ask the administrator of this service for an edition that has it.";
  switch (error.status) {
    case 0:
      return "Check your connection, then try again. Your input is kept.";
    case 400:
    case 422:
      return "Change your input, then try again.";
    case 404:
    case 405:
      return "This page and the service may have different versions. Reload the page.";
    case 413:
      return "Split the text or file into smaller parts.";
    case 415:
      return "Save the file in a supported format as UTF-8, then choose it again.";
    case 429:
      return error.retryAfter === undefined
        ? "Wait a moment, then try again."
        : `Wait ${error.retryAfter} ${error.retryAfter === 1 ? "second" : "seconds"}, then try again.`;
    case 502:
    case 503:
    case 504:
      return "Your input is kept. Try again shortly.";
    case 507:
      return "Delete some texts, or ask your administrator for more space.";
    default:
      return "Try again. If the problem persists, contact the administrator of this service.";
  }
}
