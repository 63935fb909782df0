import { useCallback, useEffect, useEffectEvent, useRef, useState } from "react";
import { ApiError, UNREADABLE } from "../api/error";

/** Where a request stands. */
export type Progress<T> =
  | { state: "idle" }
  | { state: "waiting" }
  | { state: "done"; value: T }
  | { state: "failed"; error: ApiError };

/**
 * Runs one request at a time: a newer one, a cancellation or leaving the page ends the older.
 * @param onSettled called when one has ended by itself: whether it failed for want of the service.
 */
export function useRequest<T>(onSettled: (failed: boolean) => void) {
  const [progress, setProgress] = useState<Progress<T>>({ state: "idle" });
  const running = useRef<AbortController>(undefined);

  const settled = useEffectEvent(onSettled);

  useEffect(() => () => running.current?.abort(), []);

  useEffect(() => {
    if (progress.state === "done") settled(false);
    if (progress.state === "failed") settled(isForWant(progress.error));
  }, [progress]);

  const run = useCallback(async (send: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> => {
    running.current?.abort();
    const mine = new AbortController();
    running.current = mine;
    setProgress({ state: "waiting" });
    try {
      const value = await send(mine.signal);
      if (mine.signal.aborted) return undefined;
      setProgress({ state: "done", value });
      return value;
    } catch (cause) {
      if (mine.signal.aborted) return undefined;
      const error = cause instanceof ApiError ? cause : new ApiError(0, UNREADABLE, String(cause));
      setProgress({ state: "failed", error });
      return undefined;
    }
  }, []);

  const cancel = useCallback(() => {
    running.current?.abort();
    setProgress({ state: "idle" });
  }, []);

  return { progress, run, cancel };
}

function isForWant({ status }: ApiError): boolean {
  return status === 0 || status >= 500;
}
