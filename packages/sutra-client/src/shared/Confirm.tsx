import { type ReactNode, useEffect, useId, useRef } from "react";

interface Props {
  /** What is about to happen. */
  question: string;
  /** What will be deleted. */
  children: ReactNode;
  /** The name of the action. */
  action: string;
  busy: boolean;
  onConfirm(): void;
  onCancel(): void;
}

/** Asks before something is deleted. Escape cancels. */
export function Confirm({ question, children, action, busy, onConfirm, onCancel }: Props) {
  const id = useId();
  const cancel = useRef<HTMLButtonElement>(null);

  useEffect(() => cancel.current?.focus(), []);

  return (
    <div
      className="notice bad"
      role="alertdialog"
      aria-labelledby={`${id}-question`}
      aria-describedby={`${id}-what`}
      onKeyDown={(event) => {
        if (event.key === "Escape" && !busy) onCancel();
      }}
    >
      <p id={`${id}-question`}>
        <strong>{question}</strong>
      </p>
      <div id={`${id}-what`}>{children}</div>
      <div className="actions">
        <button type="button" disabled={busy} onClick={onConfirm}>
          {busy ? "Deleting…" : action}
        </button>
        <button ref={cancel} type="button" disabled={busy} onClick={onCancel}>
          Cancel
        </button>
      </div>
    </div>
  );
}
