import { useRef, useState } from "react";
import { deleteSource } from "../api/texts";
import type { Source } from "../api/types";
import { Confirm } from "../shared/Confirm";
import { ErrorNotice } from "../shared/ErrorNotice";
import type { PageProps } from "../shared/page";
import { SourceName } from "../shared/SourceName";
import { useRequest } from "../shared/useRequest";
import { countOf, excerptOf } from "../shared/words";

interface Props extends Omit<PageProps, "title"> {
  /** The known sources, and how to read more of them. */
  sources: { items: Source[]; hasMore: boolean; more(): void };
  /** The selected source; all if undefined. */
  selected: string | undefined;
  onSelect(source: string | undefined): void;
  onDeleted(source: string, passages: number): void;
}

/** Selects a source, and deletes everything from it. */
export function SourceFilter({ sources, selected, apiKey, onSelect, onDeleted, onSettled, onNeedKey }: Props) {
  const [confirming, setConfirming] = useState(false);
  const { request, run, cancel } = useRequest<number>(onSettled);
  const opener = useRef<HTMLButtonElement>(null);
  const passages = sources.items.find(({ source }) => source === selected)?.passages;

  async function remove(source: string) {
    const deleted = await run((signal) => deleteSource(source, { key: apiKey, signal }));
    setConfirming(false);
    if (deleted !== undefined) onDeleted(source, deleted);
  }

  return (
    <>
      <div className="actions">
        <label className="choice source-choice">
          Source
          <select
            value={selected ?? ""}
            onChange={(event) => {
              setConfirming(false);
              cancel();
              onSelect(event.target.value || undefined);
            }}
          >
            <option value="">All sources</option>
            {sources.items.map(({ source, passages }) => (
              <option key={source} value={source}>
                {excerptOf(source, 60)} ({countOf(passages, "passage")})
              </option>
            ))}
            {selected !== undefined && passages === undefined && (
              <option value={selected}>{excerptOf(selected, 60)}</option>
            )}
          </select>
        </label>
        {sources.hasMore && (
          <button type="button" className="small" onClick={sources.more}>
            Show more sources
          </button>
        )}
        {selected !== undefined && (
          <button ref={opener} type="button" className="small push" onClick={() => setConfirming(true)}>
            Delete all from this source
          </button>
        )}
      </div>
      {selected !== undefined && confirming && (
        <Confirm
          question="Delete everything from this source?"
          action="Delete all"
          busy={request.state === "waiting"}
          onConfirm={() => remove(selected)}
          onCancel={() => {
            setConfirming(false);
            opener.current?.focus();
          }}
        >
          <p>
            {passages === undefined ? "All texts" : countOf(passages, "passage")} from “
            <SourceName source={selected} />” will be deleted. Sutra will no longer know or cite them. This cannot be
            undone.
          </p>
        </Confirm>
      )}
      {request.state === "failed" && <ErrorNotice error={request.error} onChangeKey={onNeedKey} />}
    </>
  );
}
