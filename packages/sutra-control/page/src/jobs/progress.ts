import type { Job } from "../api/types";
import { bytes, count } from "../shared/format";

export const NO_VALUE = "–";

/** The part of the upload that has been read. */
export function progress({ bytes_done: done, bytes_total: total }: Job): string {
  if (total === undefined) return NO_VALUE;
  // Rounded down, so that 100 % means complete.
  const share = total === 0 ? 100 : Math.floor(((done ?? 0) / total) * 100);
  return `${share} % of ${bytes(total)}`;
}

/** A number that may be missing. */
export function numberOf(value: number | undefined): string {
  return value === undefined ? NO_VALUE : count(value);
}

/** Whether a job in this state can be cancelled. */
export function isActive(state: string | undefined): boolean {
  return state === "queued" || state === "running" || state === "waiting";
}
