import { useEffect, useState } from "react";
import { type Health, health } from "../api/sutra";

/** Milliseconds between two looks while all is well, and while it is not. */
const CALM = 60_000;
const WORRIED = 10_000;
/** A look that takes longer than this, in milliseconds, counts as none. */
const PATIENCE = 5_000;

/** The service's health, asked for modestly and only while the page is visible; undefined until first known. */
export function useHealth(): Health | undefined {
  const [state, setState] = useState<Health>();

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let gone = false;

    async function look() {
      clearTimeout(timer);
      if (gone || document.hidden) return;
      const seen = await health(AbortSignal.timeout(PATIENCE));
      if (gone) return;
      setState(seen);
      clearTimeout(timer);
      timer = setTimeout(look, seen === "up" ? CALM : WORRIED);
    }

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

  return state;
}
