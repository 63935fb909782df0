import { type ReactNode, useEffect, useId, useRef } from "react";

interface Props {
  /** What is about to happen. */
  question: string;
  /** What will be deleted. */
  children: ReactNode;
  /** The name of the action, and while it runs. */
  action: string;
  acting: string;
  /** The name of the button that keeps everything as it is. */
  keep: string;
  busy: boolean;
  onConfirm(): void;
  onCancel(): void;
}

/** Asks before something is deleted or cancelled. Escape keeps it. */
export function Confirm({ question, children, action, acting, keep, busy, onConfirm, onCancel }: Props) {
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
      <p id={`${id}-what`}>{children}</p>
      <div className="actions">
        <button type="button" className="danger" disabled={busy} onClick={onConfirm}>
          {busy ? acting : action}
        </button>
        <button ref={cancel} type="button" disabled={busy} onClick={onCancel}>
          {keep}
        </button>
      </div>
    </div>
  );
}
