import { useCallback, useEffect, useRef, useState } from "react";
import { type Health, health } from "../api/sutra";

/** Milliseconds between checks while the service is up, and while it is not. */
const INTERVAL_UP = 60_000;
const INTERVAL_DOWN = 10_000;
/** Timeout of a check in milliseconds. */
const TIMEOUT = 5_000;
/** Minimum time in milliseconds for which a recovery is shown. */
const RECOVERY_TIME = 30_000;

interface ServiceHealth {
  /** Undefined until the first check. */
  health: Health | undefined;
  /** Whether the service has just recovered. */
  isBack: boolean;
  /** Checks at once. */
  refresh(): void;
}

/** The health of the service, polled while the page is visible. */
export function useHealth(): ServiceHealth {
  const [seen, setSeen] = useState<{ health: Health | undefined; isBack: boolean }>({
    health: undefined,
    isBack: false,
  });
  const checkNow = useRef<() => void>(undefined);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isUnmounted = false;
    let checks = 0;
    let backAt = Number.NEGATIVE_INFINITY;
    let last: Health["state"] | undefined;

    async function check() {
      clearTimeout(timer);
      if (isUnmounted || document.hidden) return;
      checks += 1;
      const current = checks;
      const found = await health(AbortSignal.timeout(TIMEOUT));
      // An older check may end after a newer one.
      if (isUnmounted || current !== checks) return;
      if (last !== undefined && last !== "up" && found.state === "up") backAt = Date.now();
      last = found.state;
      setSeen({ health: found, isBack: found.state === "up" && Date.now() - backAt < RECOVERY_TIME });
      clearTimeout(timer);
      timer = setTimeout(check, found.state === "up" ? INTERVAL_UP : INTERVAL_DOWN);
    }

    checkNow.current = check;
    check();
    document.addEventListener("visibilitychange", check);
    window.addEventListener("online", check);
    return () => {
      isUnmounted = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", check);
      window.removeEventListener("online", check);
    };
  }, []);

  const refresh = useCallback(() => checkNow.current?.(), []);
  return { ...seen, refresh };
}
