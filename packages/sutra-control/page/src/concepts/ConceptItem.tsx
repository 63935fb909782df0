import { useId, useState } from "react";
import type { Concept } from "../api/types";
import { Confirm } from "../shared/Confirm";
import { useQuestion } from "../shared/useQuestion";
import { nameOf, passagesOf } from "./names";
import { WholeText } from "./WholeText";

interface Props {
  concept: Concept;
  /** Shows the texts of a source; undefined if they are shown already. */
  onSource: ((source: string) => void) | undefined;
  /** Deletes the text; resolves when that has ended, well or not. */
  onDelete(): Promise<void>;
  onSignedOut(): void;
}

/** A taught text: its beginning, or the whole of it, and deleting it. */
export function ConceptItem({ concept, onSource, onDelete, onSignedOut }: Props) {
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const deletion = useQuestion(onDelete);
  const name = nameOf(concept);

  return (
    <article className="card concept" aria-labelledby={id}>
      <h2 id={id} className={concept.title ? undefined : "visually-hidden"}>
        {name}
      </h2>
      {!isOpen && <p className="excerpt">{concept.text}</p>}
      {isOpen && <WholeText id={concept.id} onSignedOut={onSignedOut} />}
      <div className="actions">
        <p className="hint origin">
          {concept.source === undefined ? (
            "No source"
          ) : onSource ? (
            <button type="button" className="link" onClick={() => onSource(concept.source ?? "")}>
              <span className="visually-hidden">Show only texts from</span> {concept.source}
            </button>
          ) : (
            concept.source
          )}{" "}
          · {passagesOf(concept)}
        </p>
        <div className="actions push">
          <button type="button" className="small" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
            {isOpen ? "Hide whole text" : "Show whole text"} <span className="visually-hidden">of {name}</span>
          </button>
          {!deletion.asking && (
            <button {...deletion.button} className="small">
              Delete <span className="visually-hidden">{name}</span>
            </button>
          )}
        </div>
      </div>
      {deletion.asking && (
        <Confirm
          question={`Delete “${name}”?`}
          action="Delete the text"
          acting="Deleting…"
          keep="Keep"
          {...deletion.answers}
        >
          This deletes the whole text with {concept.passages ? `all its ${passagesOf(concept)},` : "its"} source, title
          and metadata. Answers will no longer cite it. This cannot be undone.
        </Confirm>
      )}
    </article>
  );
}
