import { useId, useRef, useState } from "react";
import { ApiError } from "../api/error";
import { deleteText, readText } from "../api/texts";
import type { StoredText } from "../api/types";
import { Confirm } from "../shared/Confirm";
import { ErrorNotice } from "../shared/ErrorNotice";
import type { PageProps } from "../shared/page";
import { SourceName } from "../shared/SourceName";
import { useRequest } from "../shared/useRequest";
import { countOf, excerptOf } from "../shared/words";

/** Characters of a text's beginning in the list. */
const BEGINNING = 240;

interface Props extends Omit<PageProps, "title"> {
  text: StoredText;
  /** Called when the text has gone, with a message for the user. */
  onRemoved(message: string): void;
}

/** A text: its beginning, which expands to the whole, and where it comes from. */
export function TextItem({ text, apiKey, onRemoved, onSettled, onNeedKey }: Props) {
  const id = useId();
  const [isOpen, setIsOpen] = useState(false);
  const [confirming, setConfirming] = useState(false);
  const reading = useRequest<StoredText>(onSettled);
  const deleting = useRequest<true>(onSettled);
  const deleteButton = useRef<HTMLButtonElement>(null);
  const name = text.title ?? excerptOf(text.text, 60);
  const beginning = excerptOf(text.text, BEGINNING);
  // A list has only the first of several passages.
  const whole =
    text.passages === undefined ? text : reading.request.state === "done" ? reading.request.value : undefined;
  const hasMore = text.passages !== undefined || beginning !== text.text;

  async function toggle() {
    setIsOpen(!isOpen);
    if (isOpen || whole) return;
    await reading.run(async (signal) => {
      try {
        return await readText(text.id, { key: apiKey, signal });
      } catch (cause) {
        if (isGone(cause)) onRemoved(`“${name}” was already deleted.`);
        throw cause;
      }
    });
  }

  async function remove() {
    const done = await deleting.run(async (signal) => {
      try {
        await deleteText(text.id, { key: apiKey, signal });
      } catch (cause) {
        if (!isGone(cause)) throw cause;
      }
      return true;
    });
    setConfirming(false);
    if (done) onRemoved(`Deleted “${name}”.`);
  }

  return (
    <li className="card text-item">
      {text.title && <h2>{text.title}</h2>}
      <div id={id} className="text-body">
        {isOpen && whole ? whole.text : beginning}
      </div>
      {isOpen && reading.request.state === "waiting" && <p className="working">Loading…</p>}
      {isOpen && reading.request.state === "failed" && (
        <ErrorNotice error={reading.request.error} onChangeKey={onNeedKey} />
      )}
      <div className="actions">
        <span className="hint">
          {text.source ? (
            <>
              Source: <SourceName source={text.source} />
            </>
          ) : (
            "No source"
          )}
          {text.passages !== undefined && ` · ${countOf(text.passages, "passage")}`}
        </span>
        <span className="actions push">
          {hasMore && (
            <button
              type="button"
              className="small"
              aria-expanded={isOpen}
              aria-controls={id}
              aria-label={`${isOpen ? "Show less" : "Show whole text"}: ${name}`}
              onClick={toggle}
            >
              {isOpen ? "Show less" : "Show whole text"}
            </button>
          )}
          <button
            ref={deleteButton}
            type="button"
            className="small"
            aria-label={`Delete: ${name}`}
            onClick={() => setConfirming(true)}
          >
            Delete
          </button>
        </span>
      </div>
      {confirming && (
        <Confirm
          question="Delete this text?"
          action="Delete text"
          busy={deleting.request.state === "waiting"}
          onConfirm={remove}
          onCancel={() => {
            setConfirming(false);
            deleteButton.current?.focus();
          }}
        >
          <p>
            “{name}”{text.passages !== undefined && ` and all its ${countOf(text.passages, "passage")}`} will be
            deleted. Sutra will no longer know or cite it. This cannot be undone.
          </p>
        </Confirm>
      )}
      {deleting.request.state === "failed" && <ErrorNotice error={deleting.request.error} onChangeKey={onNeedKey} />}
    </li>
  );
}

/** Whether somebody else has deleted the text. */
function isGone(cause: unknown): boolean {
  return cause instanceof ApiError && cause.status === 404;
}
