import { useCallback, useEffect, useState } from "react";
import { whoAmI } from "../api/control";
import { type ApiError, asApiError } from "../api/error";

/** Milliseconds until control is asked again while it does not answer. */
const AGAIN = 5_000;

/** Whether somebody is signed in. */
export type Session =
  | { state: "asking" }
  | { state: "unreachable"; error: ApiError }
  /** `why` says what the person should know, for example that the session is over. */
  | { state: "out"; why: string }
  | { state: "in"; operator: string };

/** The session this browser has with control, and ways to say that it has begun or ended. */
export function useSession() {
  const [session, setSession] = useState<Session>({ state: "asking" });
  const isOpen = session.state === "asking" || session.state === "unreachable";

  useEffect(() => {
    if (!isOpen) return;
    const gone = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;

    async function ask() {
      try {
        const { operator, reason } = await whoAmI(gone.signal);
        if (gone.signal.aborted) return;
        setSession(operator === null ? { state: "out", why: reason } : { state: "in", operator });
      } catch (cause) {
        if (gone.signal.aborted) return;
        setSession({ state: "unreachable", error: asApiError(cause) });
        timer = setTimeout(ask, AGAIN);
      }
    }

    ask();
    return () => {
      gone.abort();
      clearTimeout(timer);
    };
  }, [isOpen]);

  const enter = useCallback((operator: string) => setSession({ state: "in", operator }), []);
  const leave = useCallback((why: string) => setSession({ state: "out", why }), []);
  return { session, enter, leave };
}
