import { useEffect, useEffectEvent, useState } from "react";
import { readSources } from "../api/concepts";
import { type ApiError, asApiError } from "../api/error";
import type { Source } from "../api/types";

/** All sources with the number of their concepts. */
export interface Sources {
  sources: Source[];
  isComplete: boolean;
  error: ApiError | undefined;
  refresh(): void;
}

/** Reads all sources. `onSignedOut` is called when the session has ended. */
export function useSources(onSignedOut: () => void): Sources {
  const [read, setRead] = useState<{ sources: Source[]; isComplete: boolean }>({ sources: [], isComplete: true });
  const [error, setError] = useState<ApiError>();
  const [times, setTimes] = useState(0);
  const signedOut = useEffectEvent(onSignedOut);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `times` counts requests to read them again.
  useEffect(() => {
    const replaced = new AbortController();
    readSources(replaced.signal)
      .then((found) => {
        if (replaced.signal.aborted) return;
        setRead(found);
        setError(undefined);
      })
      .catch((cause) => {
        if (replaced.signal.aborted) return;
        const failure = asApiError(cause);
        if (failure.isSignedOut) signedOut();
        else setError(failure);
      });
    return () => replaced.abort();
  }, [times]);

  return { ...read, error, refresh: () => setTimes((before) => before + 1) };
}
