import { setTimeout as pause } from "node:timers/promises";

/** Milliseconds that anything may take; only what never happens waits so long. */
export const PATIENCE = 60_000;
/** Milliseconds between two looks. */
const EVERY = 200;

/**
 * Asks `look` again and again until it answers with something true, and returns that.
 * Fails with `what` was waited for and what was seen last: `look` may throw to say it.
 */
export async function until(what, look) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    let seen;
    try {
      seen = await look();
      if (seen) return seen;
    } catch (error) {
      seen = error.message;
    }
    if (Date.now() > end) throw new Error(`${what}, within ${PATIENCE / 1000} s; seen last: ${seen}`);
    await pause(EVERY);
  }
}
