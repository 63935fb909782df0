import { type FormEvent, type KeyboardEvent, type RefObject, useId, useRef, useState } from "react";
import { teach } from "../api/sutra";
import type { Learned } from "../api/types";
import { ErrorNotice } from "../shared/ErrorNotice";
import { useRequest } from "../shared/useRequest";
import { textsOf } from "./paragraphs";

interface Props {
  title: RefObject<HTMLHeadingElement | null>;
  apiKey: string;
  /** Called when a request needs a key or was rejected because of it. */
  onNeedKey(): void;
  /** Called when a request has ended; `failed` if the service could not be reached or failed. */
  onSettled(failed: boolean): void;
}

/** The form for teaching a text, or one text per paragraph. */
export function TeachPage({ title, apiKey, onNeedKey, onSettled }: Props) {
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const [input, setInput] = useState("");
  const [byParagraph, setByParagraph] = useState(true);
  const { request, run, cancel } = useRequest<Learned>(onSettled);
  const waiting = request.state === "waiting";
  const texts = textsOf(input, byParagraph);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (texts.length === 0) return;
    if (apiKey === "") {
      onNeedKey();
      return;
    }
    const learned = await run((signal) => teach(texts, { key: apiKey, signal }));
    if (!learned) return;
    // Keep input that changed during the request.
    setInput((current) => (current === input ? "" : current));
    field.current?.focus();
  }

  function sendOnControlEnter(event: KeyboardEvent) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.current?.requestSubmit();
  }

  return (
    <>
      <h1 ref={title} tabIndex={-1}>
        Teach a text
      </h1>
      <form ref={form} className="card" onSubmit={submit}>
        <label htmlFor={`${id}-text`}>What Sutra should know</label>
        <textarea
          ref={field}
          id={`${id}-text`}
          rows={9}
          value={input}
          placeholder="Write or paste a text. Short, self-contained paragraphs make the best citations."
          aria-describedby={`${id}-count`}
          onChange={(event) => setInput(event.target.value)}
          onKeyDown={sendOnControlEnter}
        />
        <label className="choice">
          <input type="checkbox" checked={byParagraph} onChange={(event) => setByParagraph(event.target.checked)} />
          Each paragraph is a separate text
        </label>
        <div className="actions">
          <button type="submit" className="primary" disabled={waiting || texts.length === 0}>
            Teach
          </button>
          {waiting && (
            <button type="button" onClick={cancel}>
              Stop
            </button>
          )}
          <span id={`${id}-count`} className="hint push">
            {texts.length > 0 && `${countOf(texts.length)} · `}Ctrl + Enter to teach
          </span>
        </div>
      </form>
      <div role="status">
        {waiting && <p className="working">Teaching…</p>}
        {request.state === "done" && <p className="notice good">Sutra has learned {countOf(request.value.learned)}.</p>}
      </div>
      {request.state === "failed" && <ErrorNotice error={request.error} onChangeKey={onNeedKey} />}
    </>
  );
}

function countOf(texts: number): string {
  return texts === 1 ? "1 text" : `${texts} texts`;
}
