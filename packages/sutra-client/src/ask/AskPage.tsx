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
  /** Called when a request needs a key or was rejected because of it. */
  onNeedKey(): void;
  /** Called when a request has ended; `failed` if the service could not be reached or failed. */
  onSettled(failed: boolean): void;
}

interface AnsweredQuestion {
  question: string;
  answer: Answer;
}

/** The form for questions, with the answer. */
export function AskPage({ title, apiKey, onNeedKey, onSettled }: Props) {
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const [question, setQuestion] = useState("");
  const [limit, setLimit] = useState(5);
  const { request, run, cancel } = useRequest<AnsweredQuestion>(onSettled);
  const waiting = request.state === "waiting";

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const trimmed = question.trim();
    if (trimmed === "") return;
    if (apiKey === "") {
      onNeedKey();
      return;
    }
    run(async (signal) => ({ question: trimmed, answer: await ask(trimmed, limit, { key: apiKey, signal }) }));
  }

  function sendOnEnter(event: KeyboardEvent) {
    // Enter may belong to an input method.
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
            Maximum sources
            <select value={limit} onChange={(event) => setLimit(Number(event.target.value))}>
              {LIMITS.map((count) => (
                <option key={count}>{count}</option>
              ))}
            </select>
          </label>
          <span id={`${id}-keys`} className="hint push">
            Enter to ask, Shift + Enter for a new line
          </span>
        </div>
      </form>
      <p role="status" className={waiting ? "working" : "visually-hidden"}>
        {waiting && "Searching…"}
        {request.state === "done" && `Answer with ${countOf(request.value.answer)}.`}
      </p>
      {request.state === "failed" && <ErrorNotice error={request.error} onChangeKey={onNeedKey} />}
      {request.state === "done" && <AnswerView {...request.value} />}
    </>
  );
}

function countOf({ citations }: Answer): string {
  return citations.length === 1 ? "1 citation" : `${citations.length} citations`;
}
