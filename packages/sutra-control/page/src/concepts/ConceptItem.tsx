import { useId, useRef, useState } from "react";
import type { Concept } from "../api/types";
import { Confirm } from "../shared/Confirm";
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
  const button = useRef<HTMLButtonElement>(null);
  const [isOpen, setOpen] = useState(false);
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const name = nameOf(concept);

  async function confirm() {
    setBusy(true);
    await onDelete();
    setBusy(false);
    setAsking(false);
  }

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
              <span className="visually-hidden">Show only texts of</span> {concept.source}
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
          {!asking && (
            <button ref={button} type="button" className="small" onClick={() => setAsking(true)}>
              Delete <span className="visually-hidden">{name}</span>
            </button>
          )}
        </div>
      </div>
      {asking && (
        <Confirm
          question={`Delete “${name}”?`}
          action="Delete the text"
          acting="Deleting…"
          keep="Keep it"
          busy={busy}
          onConfirm={confirm}
          onCancel={() => {
            setAsking(false);
            // The button is back after the next rendering.
            setTimeout(() => button.current?.focus());
          }}
        >
          The whole text goes{concept.passages ? ` with all its ${passagesOf(concept)}` : ""}, its source, title and
          metadata too. Answers no longer cite it. This cannot be undone.
        </Confirm>
      )}
    </article>
  );
}
