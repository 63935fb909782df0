import { setTimeout as pause } from "node:timers/promises";

/** Timeout for any condition, in milliseconds. */
export const TIMEOUT = 60_000;
/** Milliseconds between checks. */
const INTERVAL = 200;

/**
 * Calls `check` until it returns a truthy value, and returns that value. After the timeout, fails with `what` and the last
 * result; `check` may throw to provide it.
 */
export async function until(what, check) {
  const end = Date.now() + TIMEOUT;
  for (;;) {
    let last;
    try {
      last = await check();
      if (last) return last;
    } catch (error) {
      last = error.message;
    }
    if (Date.now() > end)
      throw new Error(`timed out after ${TIMEOUT / 1000} s waiting for ${what}; last result: ${last}`);
    await pause(INTERVAL);
  }
}
