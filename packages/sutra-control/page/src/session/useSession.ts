import { useCallback, useEffect, useState } from "react";
import { whoAmI } from "../api/control";
import { type ApiError, asApiError } from "../api/error";

/** Milliseconds between retries while control does not respond. */
const RETRY_INTERVAL = 5_000;

/** The state of the session. */
export type Session =
  | { state: "loading" }
  | { state: "unreachable"; error: ApiError }
  /** `notice` is shown above the sign-in form. */
  | { state: "out"; notice: string }
  | { state: "in"; operator: string };

/** The session, and functions that mark it as started or ended. */
export function useSession() {
  const [session, setSession] = useState<Session>({ state: "loading" });
  const isPending = session.state === "loading" || session.state === "unreachable";

  useEffect(() => {
    if (!isPending) return;
    const unmounted = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;

    async function load() {
      try {
        const { operator, reason } = await whoAmI(unmounted.signal);
        if (unmounted.signal.aborted) return;
        setSession(operator === null ? { state: "out", notice: reason } : { state: "in", operator });
      } catch (cause) {
        if (unmounted.signal.aborted) return;
        setSession({ state: "unreachable", error: asApiError(cause) });
        timer = setTimeout(load, RETRY_INTERVAL);
      }
    }

    load();
    return () => {
      unmounted.abort();
      clearTimeout(timer);
    };
  }, [isPending]);

  const enter = useCallback((operator: string) => setSession({ state: "in", operator }), []);
  const leave = useCallback((notice: string) => setSession({ state: "out", notice }), []);
  return { session, enter, leave };
}
