import { type Ref, useId } from "react";
import type { Citation } from "../api/types";
import { SourceName } from "../shared/SourceName";
import { Passages } from "./Passages";

const SCORE = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

interface Props {
  citation: Citation;
  /** The score relative to the best one, from 0 to 1. */
  share: number;
  open: boolean;
  onToggle(open: boolean): void;
  /** Called on Escape: returns to the mark. */
  onBack(): void;
  /** The element that a mark jumps to. */
  summary: Ref<HTMLButtonElement>;
}

/** A source: an excerpt, where it comes from and its score; expands to the full text. */
export function CitationCard({ citation, share, open, onToggle, onBack, summary }: Props) {
  const id = useId();
  const origin = [citation.title, citation.source].filter(Boolean).join(" · ");
  return (
    <li className="citation">
      <button
        ref={summary}
        type="button"
        aria-expanded={open}
        aria-controls={id}
        onClick={() => onToggle(!open)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onBack();
        }}
      >
        <span className="number">{citation.number}</span>
        <span className="excerpt">
          <span className={open ? "line soft" : "line"}>{open ? "Cited text" : citation.text}</span>
          {!open && origin && <span className="line hint">{origin}</span>}
        </span>
        <span className="score">
          <span>score {SCORE.format(citation.score)}</span>
          <svg className="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
            <rect width="100" height="4" className="bar-all" />
            <rect width={100 * share} height="4" className="bar-part" />
          </svg>
        </span>
      </button>
      <div id={id} hidden={!open}>
        {citation.title && <p className="cited-title">{citation.title}</p>}
        <Passages text={citation.text} />
        {citation.source && (
          <p className="hint">
            Source: <SourceName source={citation.source} />
          </p>
        )}
        <p className="hint">
          Text <code>{citation.id}</code>
        </p>
      </div>
    </li>
  );
}
