/** Code of an error that never reached the service: no connection, or the answer broke off. */
export const UNREACHABLE = "unreachable";
/** Code of an answer that is not what the service promises. */
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

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** Whether the answer says that nobody is signed in. */
  get isSignedOut(): boolean {
    return this.status === 401;
  }
}

/** Any failure as an {@link ApiError}. */
export function asApiError(cause: unknown): ApiError {
  return cause instanceof ApiError ? cause : new ApiError(0, UNREADABLE, String(cause));
}
