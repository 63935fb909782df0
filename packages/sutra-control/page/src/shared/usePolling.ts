import { useEffect, useEffectEvent } from "react";

/**
 * Calls `look` now and again `every` milliseconds after it has ended, while the page is visible; at once when the page
 * becomes visible again, the browser is back online or `question` is another one. `look` gets a signal that fires when
 * nobody waits any more.
 */
export function usePolling(look: (signal: AbortSignal) => Promise<void>, every: number, question: unknown): void {
  const latest = useEffectEvent(look);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another question is not to wait for its turn.
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let looking = false;
    const gone = new AbortController();

    async function run() {
      clearTimeout(timer);
      if (looking || document.hidden || gone.signal.aborted) return;
      looking = true;
      await latest(gone.signal);
      looking = false;
      clearTimeout(timer);
      timer = setTimeout(run, every);
    }

    run();
    document.addEventListener("visibilitychange", run);
    window.addEventListener("online", run);
    return () => {
      gone.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", run);
      window.removeEventListener("online", run);
    };
  }, [every, question]);
}
