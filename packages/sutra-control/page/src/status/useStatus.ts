import { useState } from "react";
import { readHistory, readStatus } from "../api/control";
import { type ApiError, asApiError } from "../api/error";
import type { History, Status } from "../api/types";
import { usePolling } from "../shared/usePolling";

/** Milliseconds between polls. */
const INTERVAL = 5_000;
/** The capability that provides response times. */
const TIMELINE = "timeline";

/** The last known status, and the error of the last poll. */
export interface PolledStatus {
  status: Status | undefined;
  history: History | undefined;
  error: ApiError | undefined;
}

/**
 * Polls the status while the page is visible.
 * @param samples number of samples of the response times.
 * @param onSignedOut called when the session has ended.
 */
export function useStatus(samples: number, onSignedOut: () => void): PolledStatus {
  const [polled, setPolled] = useState<PolledStatus>({ status: undefined, history: undefined, error: undefined });

  usePolling(
    async (signal) => {
      try {
        const status = await readStatus(signal);
        const history = status.capabilities.includes(TIMELINE)
          ? await readHistory(Math.min(samples, status.limits.history_samples), signal)
          : undefined;
        if (!signal.aborted) setPolled({ status, history, error: undefined });
      } catch (cause) {
        if (signal.aborted) return;
        const error = asApiError(cause);
        if (error.isSignedOut) onSignedOut();
        // Keep the last status; the page shows its age.
        else setPolled((before) => ({ ...before, error }));
      }
    },
    INTERVAL,
    samples,
  );

  return polled;
}
