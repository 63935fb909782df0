import { useCallback, useEffect, useEffectEvent, useRef, useState } from "react";
import { ApiError, isServiceFailure, UNREADABLE } from "../api/error";

/** The state of a request. */
export type RequestState<T> =
  | { state: "idle" }
  | { state: "waiting" }
  | { state: "done"; value: T }
  | { state: "failed"; error: ApiError };

/**
 * Runs one request at a time. A newer request, a cancellation or unmounting aborts the older one.
 * @param onSettled called when a request has ended without being aborted; `failed` if the service could not be reached or
 *   failed.
 */
export function useRequest<T>(onSettled: (failed: boolean) => void) {
  const [request, setRequest] = useState<RequestState<T>>({ state: "idle" });
  const running = useRef<AbortController>(undefined);

  const settled = useEffectEvent(onSettled);

  useEffect(() => () => running.current?.abort(), []);

  useEffect(() => {
    if (request.state === "done") settled(false);
    if (request.state === "failed") settled(isServiceFailure(request.error));
  }, [request]);

  const run = useCallback(async (send: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setRequest({ state: "waiting" });
    try {
      const value = await send(controller.signal);
      if (controller.signal.aborted) return undefined;
      setRequest({ state: "done", value });
      return value;
    } catch (cause) {
      if (controller.signal.aborted) return undefined;
      const error = cause instanceof ApiError ? cause : new ApiError(0, UNREADABLE, String(cause));
      setRequest({ state: "failed", error });
      return undefined;
    }
  }, []);

  const cancel = useCallback(() => {
    running.current?.abort();
    setRequest({ state: "idle" });
  }, []);

  return { request, run, cancel };
}
