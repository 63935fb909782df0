import { useCallback, useEffect, useRef, useState } from "react";
import { type Health, health } from "../api/sutra";

/** Milliseconds between two looks while all is well, and while it is not. */
const CALM = 60_000;
const WORRIED = 10_000;
/** A look that takes longer than this, in milliseconds, counts as none. */
const PATIENCE = 5_000;
/** How long the return of the service is told, in milliseconds at least. */
const TOLD = 30_000;

interface Seen {
  /** Undefined until first known. */
  health: Health | undefined;
  /** Whether the service is well again after it was not, since a short while. */
  isBack: boolean;
  /** Looks at once: somebody has just learned how the service is. */
  look(): void;
}

/** The service's health, asked for modestly and only while the page is visible. */
export function useHealth(): Seen {
  const [seen, setSeen] = useState<{ health: Health | undefined; isBack: boolean }>({
    health: undefined,
    isBack: false,
  });
  const now = useRef<() => void>(undefined);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let gone = false;
    let looks = 0;
    let backAt = Number.NEGATIVE_INFINITY;
    let last: Health["state"] | undefined;

    async function look() {
      clearTimeout(timer);
      if (gone || document.hidden) return;
      looks += 1;
      const mine = looks;
      const found = await health(AbortSignal.timeout(PATIENCE));
      // An older look may end after a newer one.
      if (gone || mine !== looks) return;
      if (last !== undefined && last !== "up" && found.state === "up") backAt = Date.now();
      last = found.state;
      setSeen({ health: found, isBack: found.state === "up" && Date.now() - backAt < TOLD });
      clearTimeout(timer);
      timer = setTimeout(look, found.state === "up" ? CALM : WORRIED);
    }

    now.current = look;
    look();
    document.addEventListener("visibilitychange", look);
    window.addEventListener("online", look);
    return () => {
      gone = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
      window.removeEventListener("online", look);
    };
  }, []);

  const look = useCallback(() => now.current?.(), []);
  return { ...seen, look };
}
