import { useCallback, useState } from "react";
import type { Page } from "../api/types";
import { useRequest } from "../shared/useRequest";

type Read<T> = (cursor: string | undefined, signal: AbortSignal) => Promise<Page<T>>;

/** A list that is read part by part; `read` reads the part after a cursor. */
export function usePages<T>(read: Read<T>, onSettled: (failed: boolean) => void) {
  const [items, setItems] = useState<T[]>([]);
  const [next, setNext] = useState<string>();
  const { request, run } = useRequest<Page<T>>(onSettled);

  const load = useCallback(
    async (cursor?: string) => {
      const page = await run((signal) => read(cursor, signal));
      if (!page) return;
      setItems((before) => (cursor === undefined ? page.items : [...before, ...page.items]));
      setNext(page.next);
    },
    [read, run],
  );
  /** Reads the list from its beginning. */
  const reload = useCallback(() => load(), [load]);
  /** Reads the next part. */
  const more = useCallback(() => load(next), [load, next]);

  return { items, setItems, hasMore: next !== undefined, request, reload, more };
}
