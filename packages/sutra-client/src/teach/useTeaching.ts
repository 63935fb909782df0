import { useCallback, useEffect, useEffectEvent, useRef, useState } from "react";
import { ApiError, isServiceFailure, UNREADABLE } from "../api/error";
import { readLimits, teach } from "../api/sutra";
import type { Text } from "../api/types";
import { batches, fitted } from "./batches";

/** The state of teaching. `sent` of `total` texts are saved by the service. */
export type Teaching =
  | { state: "idle" }
  | { state: "running"; sent: number; total: number }
  | { state: "done"; learned: number }
  | { state: "stopped"; sent: number; total: number; error?: ApiError; rejected?: Text };

/** The texts left, and the results so far. */
interface Plan {
  texts: Text[];
  sent: number;
  learned: number;
}

// The place of a faulty text in the message of the service.
const PLACE = /^body\.texts\[(\d+)\]/;

/**
 * Teaches texts in batches within the limits of the service. Unmounting stops it.
 * @param onSettled called when it has ended other than by a stop; `failed` if the service could not be reached or failed.
 */
export function useTeaching(apiKey: string, onSettled: (failed: boolean) => void) {
  const [teaching, setTeaching] = useState<Teaching>({ state: "idle" });
  const running = useRef<AbortController>(undefined);
  const plan = useRef<Plan>(undefined);
  const settled = useEffectEvent(onSettled);

  useEffect(() => () => running.current?.abort(), []);

  useEffect(() => {
    if (teaching.state === "done") settled(false);
    if (teaching.state === "stopped" && teaching.error) settled(isServiceFailure(teaching.error));
  }, [teaching]);

  const run = useCallback(
    async (from: Plan): Promise<boolean> => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      plan.current = from;
      try {
        await teachAll(from, { key: apiKey, signal: controller.signal }, (state) => {
          if (!controller.signal.aborted) setTeaching(state);
        });
        return !controller.signal.aborted;
      } catch (cause) {
        if (controller.signal.aborted) return false;
        const error = cause instanceof ApiError ? cause : new ApiError(0, UNREADABLE, String(cause));
        setTeaching({ ...stoppedAt(from), error, ...rejectedBy(error, from) });
        return false;
      }
    },
    [apiKey],
  );

  /** Teaches `texts`; resolves to whether all are saved. */
  const start = useCallback((texts: Text[]) => run({ texts, sent: 0, learned: 0 }), [run]);
  /** Goes on after a stop or an error. */
  const resume = useCallback(async () => plan.current !== undefined && run(plan.current), [run]);
  const stop = useCallback(() => {
    running.current?.abort();
    if (plan.current) setTeaching(stoppedAt(plan.current));
  }, []);
  /** Forgets the result. */
  const reset = useCallback(() => {
    running.current?.abort();
    plan.current = undefined;
    setTeaching({ state: "idle" });
  }, []);

  return { teaching, start, resume, stop, reset };
}

/** Teaches what is left of `plan` and keeps it up to date. */
async function teachAll(
  plan: Plan,
  call: { key: string; signal: AbortSignal },
  onProgress: (teaching: Teaching) => void,
): Promise<void> {
  onProgress({ state: "running", sent: plan.sent, total: plan.sent + plan.texts.length });
  const limits = await readLimits(call);
  plan.texts = fitted(plan.texts, limits);
  for (const batch of batches(plan.texts, limits)) {
    onProgress({ state: "running", sent: plan.sent, total: plan.sent + plan.texts.length });
    const { learned } = await teach(batch.body, call);
    plan.sent += batch.texts.length;
    plan.learned += learned;
    plan.texts = plan.texts.slice(batch.texts.length);
  }
  onProgress({ state: "done", learned: plan.learned });
}

function stoppedAt({ sent, texts }: Plan): Teaching & { state: "stopped" } {
  return { state: "stopped", sent, total: sent + texts.length };
}

function rejectedBy(error: ApiError, { texts }: Plan): { rejected?: Text } {
  // The failed batch starts with the first text left.
  const rejected = texts[Number(PLACE.exec(error.message)?.[1] ?? Number.NaN)];
  return rejected ? { rejected } : {};
}
