import { type Ref, useId, useRef, useState } from "react";
import type { Answer, Citation } from "../api/types";
import { CitationCard } from "./CitationCard";
import { pieces } from "./marks";
import "./answer.css";

interface Props {
  /** The heading, so that callers can focus it. */
  title: Ref<HTMLHeadingElement>;
  question: string;
  answer: Answer;
  /** Asks another question. */
  onAsk(question: string): void;
}

/** An answer with its citation marks and its sources. */
export function AnswerView({ title, question, answer, onAsk }: Props) {
  const id = useId();
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const lastMark = useRef<HTMLElement>(null);
  const cards = useRef(new Map<number, HTMLElement>());
  const best = Math.max(...answer.citations.map((citation) => citation.score));

  function toggle(number: number, opened: boolean) {
    setOpen((before) => {
      const after = new Set(before);
      if (opened) after.add(number);
      else after.delete(number);
      return after;
    });
  }

  function jump(citation: Citation, mark: HTMLElement) {
    lastMark.current = mark;
    toggle(citation.number, true);
    const summary = cards.current.get(citation.number);
    summary?.focus({ preventScroll: true });
    summary?.scrollIntoView?.({ block: "nearest" });
  }

  return (
    <article className="card answer" aria-labelledby={`${id}-title`}>
      <h2 ref={title} id={`${id}-title`} className="asked" tabIndex={-1}>
        {question}
      </h2>
      {answer.corrected && <Correction corrected={answer.corrected} onAsk={onAsk} />}
      <div aria-live="polite" aria-atomic="true">
        <p className="answer-text">
          {pieces(answer).map((piece, index) =>
            "text" in piece ? (
              // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of an answer never change
              <span key={index}>{piece.text}</span>
            ) : (
              <button
                // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of an answer never change
                key={index}
                type="button"
                className="mark"
                aria-label={`Citation ${piece.mark.number}`}
                onClick={(event) => jump(piece.mark, event.currentTarget)}
              >
                {piece.mark.number}
              </button>
            ),
          )}
        </p>
      </div>
      {answer.citations.length === 0 ? (
        <p className="hint">No sources found. Teach Sutra a text about this topic, then ask again.</p>
      ) : (
        <section aria-labelledby={`${id}-sources`}>
          <h3 id={`${id}-sources`}>Sources</h3>
          <ol className="citations">
            {answer.citations.map((citation) => (
              <CitationCard
                key={citation.number}
                citation={citation}
                share={best > 0 ? Math.max(0, citation.score / best) : 0}
                open={open.has(citation.number)}
                onToggle={(opened) => toggle(citation.number, opened)}
                onBack={() => lastMark.current?.focus()}
                summary={(element) => {
                  if (element) cards.current.set(citation.number, element);
                  else cards.current.delete(citation.number);
                }}
              />
            ))}
          </ol>
        </section>
      )}
      {answer.mode && <p className="hint">Mode: {answer.mode}</p>}
    </article>
  );
}

/** Shows how the question was read, and offers to ask it so. */
function Correction({ corrected, onAsk }: { corrected: string; onAsk(question: string): void }) {
  return (
    <div className="correction">
      <p>
        Did you mean “<strong>{corrected}</strong>”? Sutra also searched for that.
      </p>
      <button type="button" className="small" onClick={() => onAsk(corrected)}>
        Ask this instead
      </button>
    </div>
  );
}
