/** A request of the page. */
export interface SentRequest {
  path: string;
  /** The parameters of the URL, if it has any. */
  query?: Record<string, string>;
  method: string;
  key: string | null;
  type: string;
  /** The JSON of the body, or the text of a file. */
  body: unknown;
  /** The size of the body. */
  bytes: number;
}

/** A response of a fake service. */
export interface FakeResponse {
  status?: number;
  body?: unknown;
  headers?: Record<string, string>;
}

/** An error in the format of the API. */
export function refusal(status: number, code: string, message: string, headers: Record<string, string> = {}) {
  return { status, body: { error: { code, message } }, headers };
}

/** A reply that never arrives. */
export const never = new Promise<never>(() => {});
