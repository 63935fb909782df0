import { useCallback, useEffect, useEffectEvent, useState } from "react";
import { readConcepts } from "../api/concepts";
import { type ApiError, asApiError } from "../api/error";
import type { Concept } from "../api/types";

interface Read {
  /** The source of these texts. */
  source: string;
  concepts: Concept[];
  next: string | null;
}

/** Texts of a source, page by page. */
export interface PagedConcepts {
  concepts: Concept[] | undefined;
  /** Whether there are more. */
  hasMore: boolean;
  isReading: boolean;
  error: ApiError | undefined;
  /** Reads the next page; after an error, tries again. */
  readMore(): void;
  /** Reads the first page again. */
  refresh(): void;
  /** Removes a text that has been deleted. */
  remove(id: string): void;
}

/**
 * Reads texts of `source`; empty means all.
 * @param onSignedOut called when the session has ended.
 */
export function useConcepts(source: string, onSignedOut: () => void): PagedConcepts {
  const [read, setRead] = useState<Read>();
  // Each object is one request; a new one replaces one that is under way.
  const [wanted, setWanted] = useState<{ source: string; cursor: string | null }>({ source, cursor: null });
  const [failed, setFailed] = useState<{ request: object; error: ApiError }>();
  const [done, setDone] = useState<object>();
  const signedOut = useEffectEvent(onSignedOut);

  if (wanted.source !== source) setWanted({ source, cursor: null });

  useEffect(() => {
    const replaced = new AbortController();
    readConcepts(wanted.source, wanted.cursor, replaced.signal)
      .then(({ concepts, next }) => {
        if (replaced.signal.aborted) return;
        setRead((before) => ({
          source: wanted.source,
          // A text may move to a later page when others are deleted.
          concepts: wanted.cursor === null ? concepts : unique([...(before?.concepts ?? []), ...concepts]),
          next,
        }));
        setDone(wanted);
      })
      .catch((cause) => {
        if (replaced.signal.aborted) return;
        const error = asApiError(cause);
        if (error.isSignedOut) signedOut();
        else setFailed({ request: wanted, error });
      });
    return () => replaced.abort();
  }, [wanted]);

  const current = read?.source === source ? read : undefined;
  const error = failed?.request === wanted ? failed.error : undefined;
  const next = current?.next ?? null;
  return {
    concepts: current?.concepts,
    hasMore: next !== null,
    isReading: done !== wanted && !error,
    error,
    readMore: useCallback(() => setWanted({ source, cursor: next }), [source, next]),
    refresh: useCallback(() => setWanted({ source, cursor: null }), [source]),
    remove: useCallback(
      (id: string) =>
        setRead((before) => before && { ...before, concepts: before.concepts.filter((concept) => concept.id !== id) }),
      [],
    ),
  };
}

function unique(concepts: Concept[]): Concept[] {
  return [...new Map(concepts.map((concept) => [concept.id, concept])).values()];
}
