import { useState } from "react";
import { readHistory, readStatus } from "../api/control";
import { type ApiError, asApiError } from "../api/error";
import type { History, Status } from "../api/types";
import { usePolling } from "../shared/usePolling";

/** Milliseconds between two looks. */
const EVERY = 5_000;
/** What an edition must be able to do for response times over time. */
const TIMELINE = "timeline";

/** What is known: the last status, and the error of the last look if it failed. */
export interface Seen {
  status: Status | undefined;
  history: History | undefined;
  error: ApiError | undefined;
}

/**
 * The status, asked for again and again while the page is visible.
 * @param samples how far back response times go.
 * @param onSignedOut called when the session is over.
 */
export function useStatus(samples: number, onSignedOut: () => void): Seen {
  const [seen, setSeen] = useState<Seen>({ status: undefined, history: undefined, error: undefined });

  usePolling(
    async (signal) => {
      try {
        const status = await readStatus(signal);
        const history = status.capabilities.includes(TIMELINE)
          ? await readHistory(Math.min(samples, status.limits.history_samples), signal)
          : undefined;
        if (!signal.aborted) setSeen({ status, history, error: undefined });
      } catch (cause) {
        if (signal.aborted) return;
        const error = asApiError(cause);
        if (error.isSignedOut) onSignedOut();
        // What was seen before stays: it is the best there is, and the page says how old it is.
        else setSeen((before) => ({ ...before, error }));
      }
    },
    EVERY,
    samples,
  );

  return seen;
}
