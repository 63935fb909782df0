import type { ApiError } from "../api/error";
import { sentence } from "./format";

interface Props {
  /** What was done. */
  done?: string | undefined;
  /** What went wrong. */
  error?: ApiError | undefined;
}

/** What the last action did, or why it failed. The regions are always there, or screen readers would miss the first message. */
export function Message({ done, error }: Props) {
  return (
    <>
      <div role="status">{done && !error && <p className="notice good">{done}</p>}</div>
      <div role="alert">{error && <p className="notice bad">{sentence(error.message)}</p>}</div>
    </>
  );
}
