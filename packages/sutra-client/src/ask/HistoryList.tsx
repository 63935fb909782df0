import { useId } from "react";
import { countOf } from "../shared/words";
import type { Entry } from "./history";

interface Props {
  history: Entry[];
  /** The id of the entry that is shown. */
  shown: number | undefined;
  onShow(entry: Entry): void;
  onClear(): void;
}

/** The questions of this visit, newest first, to return to their answers. */
export function HistoryList({ history, shown, onShow, onClear }: Props) {
  const id = useId();
  return (
    <section className="history" aria-labelledby={`${id}-title`}>
      <div className="actions">
        <h2 id={`${id}-title`}>Questions from this visit</h2>
        <button type="button" className="small push" onClick={onClear}>
          Clear history
        </button>
      </div>
      <ol>
        {history.map((entry) => (
          <li key={entry.id}>
            <button type="button" aria-current={entry.id === shown ? "true" : undefined} onClick={() => onShow(entry)}>
              <span className="line">{entry.question}</span>
              <span className="hint line">
                {entry.answer.citations.length > 0
                  ? `${countOf(entry.answer.citations.length, "source")} · ${entry.answer.answer}`
                  : entry.answer.answer}
              </span>
            </button>
          </li>
        ))}
      </ol>
    </section>
  );
}
