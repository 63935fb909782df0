import { type FormEvent, type KeyboardEvent, useId, useRef, useState } from "react";
import type { Text } from "../api/types";
import type { PageProps } from "../shared/page";
import { countOf } from "../shared/words";
import { textsOf } from "./paragraphs";
import { TeachingStatus } from "./TeachingStatus";
import { useTeaching } from "./useTeaching";

/** Limits of the service. */
const MAX_SOURCE = 500;
const MAX_TITLE = 300;

/** The form for teaching a text, or one text per paragraph. */
export function TextForm({ apiKey, onNeedKey, onSettled }: Omit<PageProps, "title">) {
  const id = useId();
  const form = useRef<HTMLFormElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const [input, setInput] = useState("");
  const [byParagraph, setByParagraph] = useState(true);
  const [title, setTitle] = useState("");
  const [source, setSource] = useState("");
  const { teaching, start, resume, stop, reset } = useTeaching(apiKey, onSettled);
  const isRunning = teaching.state === "running";
  const texts = textsOf(input, byParagraph);

  /** After a change, the rest of the former texts must not be taught. */
  function change(apply: () => void) {
    apply();
    if (teaching.state === "stopped") reset();
  }

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (texts.length === 0 || isRunning) return;
    if (apiKey === "") {
      onNeedKey();
      return;
    }
    const origin = { ...(source.trim() && { source: source.trim() }), ...(title.trim() && { title: title.trim() }) };
    await finish(start(texts.map((text): Text => ({ text, ...origin }))));
  }

  async function finish(taught: Promise<boolean>) {
    if (!(await taught)) return;
    // Keep input that changed during the request.
    setInput((current) => (current === input ? "" : current));
    setTitle((current) => (current === title ? "" : current));
    field.current?.focus();
  }

  function sendOnControlEnter(event: KeyboardEvent) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.current?.requestSubmit();
  }

  return (
    <>
      <form ref={form} className="card" onSubmit={submit}>
        <label htmlFor={`${id}-text`}>What Sutra should know</label>
        <textarea
          ref={field}
          id={`${id}-text`}
          rows={9}
          value={input}
          placeholder="Write or paste a text of any length. Self-contained paragraphs make the best citations."
          aria-describedby={`${id}-count`}
          onChange={(event) => change(() => setInput(event.target.value))}
          onKeyDown={sendOnControlEnter}
        />
        <label className="choice">
          <input
            type="checkbox"
            checked={byParagraph}
            onChange={(event) => change(() => setByParagraph(event.target.checked))}
          />
          Each paragraph is a separate text
        </label>
        <div className="fields">
          <label>
            <span>
              Title <span className="hint">(optional)</span>
            </span>
            <input
              value={title}
              maxLength={MAX_TITLE}
              autoComplete="off"
              onChange={(event) => change(() => setTitle(event.target.value))}
            />
          </label>
          <label>
            <span>
              Source <span className="hint">(optional)</span>
            </span>
            <input
              value={source}
              maxLength={MAX_SOURCE}
              autoComplete="off"
              placeholder="A book, a document or a URL"
              onChange={(event) => change(() => setSource(event.target.value))}
            />
          </label>
        </div>
        <div className="actions">
          <button type="submit" className="primary" disabled={isRunning || texts.length === 0}>
            Teach
          </button>
          {isRunning && (
            <button type="button" onClick={stop}>
              Stop
            </button>
          )}
          <span id={`${id}-count`} className="hint push">
            {texts.length > 0 && `${countOf(texts.length, "text")} · `}Ctrl + Enter to teach
          </span>
        </div>
      </form>
      <TeachingStatus teaching={teaching} onResume={() => finish(resume())} onNeedKey={onNeedKey} />
    </>
  );
}
