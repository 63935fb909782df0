import { useCallback, useEffect, useRef } from "react";
import { listTexts } from "../api/texts";
import type { StoredText } from "../api/types";
import { ErrorNotice } from "../shared/ErrorNotice";
import type { PageProps } from "../shared/page";
import { TextItem } from "./TextItem";
import { usePages } from "./usePages";

interface Props extends Omit<PageProps, "title"> {
  /** All sources if undefined. */
  source: string | undefined;
  /** Called when a text has gone, with a message for the user. */
  onRemoved(message: string): void;
}

/** The texts from a source, part by part. */
export function TextList({ source, onRemoved, ...page }: Props) {
  const { apiKey, onNeedKey, onSettled } = page;
  const region = useRef<HTMLDivElement>(null);
  const read = useCallback(
    (cursor: string | undefined, signal: AbortSignal) => listTexts(source, cursor, { key: apiKey, signal }),
    [apiKey, source],
  );
  const { items, setItems, hasMore, request, reload, more } = usePages(read, onSettled);
  const waiting = request.state === "waiting";

  useEffect(() => {
    reload();
  }, [reload]);

  function removed(text: StoredText, message: string) {
    setItems((before) => before.filter(({ id }) => id !== text.id));
    onRemoved(message);
    // The focused button has gone.
    region.current?.focus({ preventScroll: true });
  }

  return (
    <div ref={region} className="text-list" tabIndex={-1}>
      {items.length > 0 && (
        <ul className="texts" aria-label="Taught texts">
          {items.map((text) => (
            <TextItem key={text.id} {...page} text={text} onRemoved={(message) => removed(text, message)} />
          ))}
        </ul>
      )}
      <div role="status">
        {waiting && items.length === 0 && <p className="working">Loading…</p>}
        {request.state === "done" && items.length === 0 && !hasMore && (
          <p className="hint">{source ? "No texts from this source." : "No texts yet. Teach Sutra its first text."}</p>
        )}
      </div>
      {request.state === "failed" && (
        <>
          <ErrorNotice error={request.error} onChangeKey={onNeedKey} />
          <button type="button" onClick={reload}>
            Reload the list
          </button>
        </>
      )}
      {hasMore && request.state !== "failed" && (
        <button type="button" disabled={waiting} onClick={more}>
          {waiting ? "Loading…" : "Show more texts"}
        </button>
      )}
    </div>
  );
}
