import { useCallback, useEffect, useState } from "react";
import { listSources } from "../api/texts";
import type { PageProps } from "../shared/page";
import { countOf } from "../shared/words";
import { SourceFilter } from "./SourceFilter";
import { TextList } from "./TextList";
import { usePages } from "./usePages";
import "./texts.css";

interface Props extends PageProps {
  /** Whether the page is shown; its lists are read again whenever it becomes so. */
  active: boolean;
}

/** What Sutra was taught: a list to read and to delete from, filtered by source. */
export function TextsPage({ title, active, ...page }: Props) {
  const { apiKey, onSettled } = page;
  const [source, setSource] = useState<string>();
  const [notice, setNotice] = useState("");
  const read = useCallback(
    (cursor: string | undefined, signal: AbortSignal) => listSources(cursor, { key: apiKey, signal }),
    [apiKey],
  );
  const { reload, ...sources } = usePages(read, onSettled);
  const isReady = active && apiKey !== "";

  useEffect(() => {
    if (isReady) reload();
    else setNotice("");
  }, [isReady, reload]);

  function removedText(message: string) {
    setNotice(message);
    reload();
  }

  function removedSource(name: string, passages: number) {
    setNotice(`Deleted ${countOf(passages, "passage")} from “${name}”.`);
    setSource(undefined);
    reload();
    // The focused button has gone.
    title.current?.focus();
  }

  return (
    <>
      <h1 ref={title} tabIndex={-1}>
        What Sutra was taught
      </h1>
      {apiKey === "" ? (
        <p className="hint">Enter your API key to see the texts.</p>
      ) : (
        <SourceFilter
          {...page}
          sources={sources}
          selected={source}
          onSelect={(selected) => {
            setNotice("");
            setSource(selected);
          }}
          onDeleted={removedSource}
        />
      )}
      <div role="status">{notice && <p className="notice good">{notice}</p>}</div>
      {isReady && <TextList key={source ?? ""} {...page} source={source} onRemoved={removedText} />}
    </>
  );
}
