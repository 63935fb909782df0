import { type FormEvent, type KeyboardEvent, useEffect, useId, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { ask } from "../api/sutra";
import type { Answer } from "../api/types";
import { ErrorNotice } from "../shared/ErrorNotice";
import type { PageProps } from "../shared/page";
import { useRequest } from "../shared/useRequest";
import { countOf } from "../shared/words";
import { AnswerView } from "./AnswerView";
import { HistoryList } from "./HistoryList";
import { type Entry, loadHistory, nextId, saveHistory, withEntry } from "./history";

const LIMITS = [3, 5, 10];

/** The form for questions, with the answer and the history of the visit. */
export function AskPage({ title, apiKey, onNeedKey, onSettled }: PageProps) {
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const answerTitle = useRef<HTMLHeadingElement>(null);
  const [question, setQuestion] = useState("");
  const [limit, setLimit] = useState(5);
  const [history, setHistory] = useState(loadHistory);
  const [shown, setShown] = useState<number>();
  const { request, run, cancel } = useRequest<Answer>(onSettled);
  const waiting = request.state === "waiting";
  const entry = history.find((one) => one.id === shown);

  useEffect(() => saveHistory(history), [history]);

  async function askNow(asked: string) {
    if (asked === "") return;
    if (apiKey === "") {
      onNeedKey();
      return;
    }
    setShown(undefined);
    const id = nextId(history);
    const answer = await run((signal) => ask(asked, limit, { key: apiKey, signal }));
    if (!answer) return;
    setHistory((current) => withEntry(current, { id, question: asked, answer }));
    setShown(id);
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    askNow(question.trim());
  }

  function askCorrected(corrected: string) {
    setQuestion(corrected);
    askNow(corrected);
  }

  function show({ id }: Entry) {
    // The error of a later question goes; a running one goes on.
    if (!waiting) cancel();
    // The heading exists only after rendering.
    flushSync(() => setShown(id));
    answerTitle.current?.focus({ preventScroll: true });
    answerTitle.current?.scrollIntoView?.({ block: "nearest" });
  }

  function clear() {
    setHistory([]);
    title.current?.focus();
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
        {request.state === "done" && `Answer with ${countOf(request.value.citations.length, "citation")}.`}
      </p>
      {request.state === "failed" && <ErrorNotice error={request.error} onChangeKey={onNeedKey} />}
      {entry && (
        <AnswerView
          key={entry.id}
          title={answerTitle}
          question={entry.question}
          answer={entry.answer}
          onAsk={askCorrected}
        />
      )}
      {history.length > (entry ? 1 : 0) && (
        <HistoryList history={history} shown={entry?.id} onShow={show} onClear={clear} />
      )}
    </>
  );
}
