import { useEffect, useId } from "react";
import { Confirm } from "../shared/Confirm";
import { count, sentence } from "../shared/format";
import { useQuestion } from "../shared/useQuestion";
import type { Sources } from "./useSources";

interface Props {
  sources: Sources;
  /** The source that is shown; empty for all. */
  selected: string;
  onSelect(source: string): void;
  /** Deletes the selected source; resolves when that has ended, well or not. */
  onDelete(): Promise<void>;
}

/** Selects a source, and deletes all texts from it. */
export function SourceBar({ sources: { sources, isComplete, error }, selected, onSelect, onDelete }: Props) {
  const id = useId();
  const deletion = useQuestion(onDelete);
  const known = sources.find(({ source }) => source === selected);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a question about another source is withdrawn.
  useEffect(deletion.withdraw, [selected]);

  return (
    <div className="card source-bar">
      <div className="actions">
        <label htmlFor={id}>Source</label>
        <select id={id} value={selected} onChange={(event) => onSelect(event.target.value)}>
          <option value="">All texts, including those without a source</option>
          {selected && !known && <option value={selected}>{selected}</option>}
          {sources.map(({ source, concepts }) => (
            <option key={source} value={source}>
              {source} ({count(concepts)})
            </option>
          ))}
        </select>
        {selected && !deletion.asking && (
          <button {...deletion.button} className="push">
            Delete this source
          </button>
        )}
      </div>
      {error && <p className="hint">The list of sources is unavailable: {sentence(error.message)}</p>}
      {!isComplete && <p className="hint">Only the first {count(sources.length)} sources are listed.</p>}
      {selected && deletion.asking && (
        <Confirm
          question={`Delete all texts from ${selected}?`}
          action="Delete the source"
          acting="Deleting…"
          keep="Keep"
          {...deletion.answers}
        >
          This deletes{" "}
          {known ? `${count(known.concepts)} ${known.concepts === 1 ? "concept" : "concepts"}` : "all its concepts"}{" "}
          with all texts, titles and metadata, including those not shown below. Answers will no longer cite them. This
          cannot be undone.
        </Confirm>
      )}
    </div>
  );
}
