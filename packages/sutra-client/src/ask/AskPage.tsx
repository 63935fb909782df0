import { type FormEvent, type KeyboardEvent, type RefObject, useId, useRef, useState } from "react";
import { ask } from "../api/sutra";
import type { Answer } from "../api/types";
import { ErrorNotice } from "../shared/ErrorNotice";
import { useRequest } from "../shared/useRequest";
import { AnswerView } from "./AnswerView";

const LIMITS = [3, 5, 10];

interface Props {
  title: RefObject<HTMLHeadingElement | null>;
  apiKey: string;
  /** Called when a request needs a key, or another one. */
  onNeedKey(): void;
  /** Called when a request has ended: whether for want of the service. */
  onSettled(failed: boolean): void;
}

interface Asked {
  question: string;
  answer: Answer;
}

/** Ask a question, see the answer. */
export function AskPage({ title, apiKey, onNeedKey, onSettled }: Props) {
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const [question, setQuestion] = useState("");
  const [limit, setLimit] = useState(5);
  const { progress, run, cancel } = useRequest<Asked>(onSettled);
  const waiting = progress.state === "waiting";

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const asked = question.trim();
    if (asked === "") return;
    if (apiKey === "") {
      onNeedKey();
      return;
    }
    run(async (signal) => ({ question: asked, answer: await ask(asked, limit, { key: apiKey, signal }) }));
  }

  function sendOnEnter(event: KeyboardEvent) {
    // While an input method composes a word, Enter belongs to it.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    form.current?.requestSubmit();
  }

  return (
    <>
      <h1 ref={title} tabIndex={-1}>
        Ask a question
      </h1>
      <form ref={form} className="card" onSubmit={submit}>
        <label htmlFor={`${id}-question`}>Your question</label>
        <textarea
          id={`${id}-question`}
          rows={2}
          value={question}
          placeholder="What do you want to know?"
          aria-describedby={`${id}-keys`}
          onChange={(event) => setQuestion(event.target.value)}
          onKeyDown={sendOnEnter}
        />
        <div className="actions">
          <button type="submit" className="primary" disabled={waiting || question.trim() === ""}>
            Ask
          </button>
          {waiting && (
            <button type="button" onClick={cancel}>
              Stop
            </button>
          )}
          <label className="choice">
            Texts to cite, at most
            <select value={limit} onChange={(event) => setLimit(Number(event.target.value))}>
              {LIMITS.map((count) => (
                <option key={count}>{count}</option>
              ))}
            </select>
          </label>
          <span id={`${id}-keys`} className="hint push">
            Enter asks, Shift + Enter starts a new line
          </span>
        </div>
      </form>
      <p role="status" className={waiting ? "working" : "visually-hidden"}>
        {waiting && "Looking through what Sutra knows…"}
        {progress.state === "done" && `Answered, with ${countOf(progress.value.answer)}.`}
      </p>
      {progress.state === "failed" && <ErrorNotice error={progress.error} onChangeKey={onNeedKey} />}
      {progress.state === "done" && <AnswerView {...progress.value} />}
    </>
  );
}

function countOf({ citations }: Answer): string {
  return citations.length === 1 ? "1 citation" : `${citations.length} citations`;
}
