import { useCallback, useEffect, useEffectEvent, useRef, useState } from "react";
import { ApiError, isServiceFailure, UNREADABLE } from "../api/error";
import { type Format, hasEnded, readJob, upload } from "../api/jobs";
import type { Job } from "../api/types";

/** The state of an uploaded file. `error` of a job: its progress could not be read; it is tried again. */
export type Upload =
  | { state: "waiting" | "sending" | "stopped" }
  | { state: "accepted"; job: Job; error?: ApiError }
  | { state: "failed"; error: ApiError };

/** Uploads a file and follows its job, polling every `interval` milliseconds. Unmounting stops the upload. */
export function useJob(
  file: File,
  format: Format,
  interval: number,
  { apiKey, onSettled }: { apiKey: string; onSettled(failed: boolean): void },
) {
  const [current, setCurrent] = useState<Upload>({ state: "waiting" });
  const running = useRef<AbortController>(undefined);
  const settled = useEffectEvent(onSettled);
  const job = current.state === "accepted" && !hasEnded(current.job) ? current : undefined;
  const wait = Math.max(interval, (job?.error?.retryAfter ?? 0) * 1000);

  useEffect(() => () => running.current?.abort(), []);

  useEffect(() => {
    if (current.state === "accepted" || current.state === "failed") {
      settled(current.error !== undefined && isServiceFailure(current.error));
    }
  }, [current]);

  useEffect(() => {
    if (!job) return;
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      try {
        setCurrent({ state: "accepted", job: await readJob(job.job.id, { key: apiKey, signal: controller.signal }) });
      } catch (cause) {
        if (controller.signal.aborted) return;
        const error = errorOf(cause);
        // The service forgets old jobs.
        setCurrent(error.status === 404 ? { state: "failed", error } : { state: "accepted", job: job.job, error });
      }
    }, wait);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [job, apiKey, wait]);

  const start = useCallback(async () => {
    const controller = new AbortController();
    running.current = controller;
    setCurrent({ state: "sending" });
    try {
      const accepted = await upload(file, format, file.name, { key: apiKey, signal: controller.signal });
      setCurrent({ state: "accepted", job: accepted });
    } catch (cause) {
      if (!controller.signal.aborted) setCurrent({ state: "failed", error: errorOf(cause) });
    }
  }, [file, format, apiKey]);

  const stop = useCallback(() => {
    running.current?.abort();
    setCurrent({ state: "stopped" });
  }, []);

  return { upload: current, start, stop };
}

function errorOf(cause: unknown): ApiError {
  return cause instanceof ApiError ? cause : new ApiError(0, UNREADABLE, String(cause));
}
