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

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** Whether the session is missing or has ended. */
  get isSignedOut(): boolean {
    return this.status === 401;
  }
}

/** Converts any exception to an {@link ApiError}. */
export function asApiError(cause: unknown): ApiError {
  return cause instanceof ApiError ? cause : new ApiError(0, UNREADABLE, String(cause));
}
