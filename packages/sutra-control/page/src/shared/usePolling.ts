import { useEffect, useEffectEvent } from "react";

/**
 * Calls `poll` at once and then `interval` milliseconds after each call has ended, while the page is visible. Also calls it
 * at once when the page becomes visible, the browser comes online or `key` changes. The signal is aborted on unmount.
 */
export function usePolling(poll: (signal: AbortSignal) => Promise<void>, interval: number, key: unknown): void {
  const latest = useEffectEvent(poll);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new key restarts polling at once.
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isPolling = false;
    const unmounted = new AbortController();

    async function run() {
      clearTimeout(timer);
      if (isPolling || document.hidden || unmounted.signal.aborted) return;
      isPolling = true;
      await latest(unmounted.signal);
      isPolling = false;
      clearTimeout(timer);
      timer = setTimeout(run, interval);
    }

    run();
    document.addEventListener("visibilitychange", run);
    window.addEventListener("online", run);
    return () => {
      unmounted.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", run);
      window.removeEventListener("online", run);
    };
  }, [interval, key]);
}
