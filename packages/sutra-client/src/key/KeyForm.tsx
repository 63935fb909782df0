import { type FormEvent, type RefObject, useId, useState } from "react";
import { ApiError } from "../api/error";
import { checkKey } from "../api/sutra";
import { ErrorNotice } from "../shared/ErrorNotice";
import type { Keeping } from "./store";

// What a header may carry without being changed on its way.
const SENDABLE = /^[\x21-\x7e]+$/;

interface Props {
  /** The field, so that others can move the focus to it. */
  field: RefObject<HTMLInputElement | null>;
  /** Called with a key the service accepted, or could not be asked about. */
  onKey(key: string, keeping: Keeping): void;
  /** Shown as a way out when there is a key already. */
  onCancel?: (() => void) | undefined;
}

/** Asks for the API key once, and tries it before it is kept. */
export function KeyForm({ field, onKey, onCancel }: Props) {
  const [onDevice, setOnDevice] = useState(false);
  const [checking, setChecking] = useState(false);
  const [error, setError] = useState<ApiError>();
  const id = useId();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const key = field.current?.value.trim() ?? "";
    const fault = faultOf(key);
    setError(fault);
    if (fault) {
      field.current?.focus();
      return;
    }
    setChecking(true);
    try {
      await checkKey({ key });
    } catch (cause) {
      // Only a refusal of the key itself says anything about it: the service may be down or busy.
      if (cause instanceof ApiError && cause.isAboutTheKey) {
        setChecking(false);
        setError(cause);
        field.current?.focus();
        return;
      }
    }
    onKey(key, onDevice ? "device" : "tab");
  }

  return (
    <form className="card key-form" onSubmit={submit} aria-labelledby={`${id}-title`} noValidate>
      <h2 id={`${id}-title`}>Your API key</h2>
      <p id={`${id}-why`}>
        Sutra answers only with a key. It goes to this server with each request and to nobody else. Whoever runs this
        service can give you one.
      </p>
      <label htmlFor={`${id}-key`}>API key</label>
      <input
        ref={field}
        id={`${id}-key`}
        type="password"
        autoComplete="off"
        spellCheck={false}
        aria-describedby={`${id}-why ${id}-where`}
        aria-invalid={error !== undefined}
      />
      <label className="choice">
        <input type="checkbox" checked={onDevice} onChange={(event) => setOnDevice(event.target.checked)} />
        Remember it on this device
      </label>
      <p id={`${id}-where`} className="hint">
        {onDevice
          ? "Kept in this browser's local storage until you press “Forget key”. Do not choose this on a shared computer."
          : "Kept in this tab's session storage: gone when you close the tab."}
      </p>
      {error && <ErrorNotice error={error} />}
      <div className="actions">
        <button type="submit" className="primary" disabled={checking}>
          {checking ? "Checking…" : "Use this key"}
        </button>
        {onCancel && (
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
    </form>
  );
}

function faultOf(key: string): ApiError | undefined {
  if (key === "") return new ApiError(400, "key_missing", "There is no key in the field.");
  if (!SENDABLE.test(key)) {
    return new ApiError(400, "key_unsendable", "A key has no spaces and only plain letters, digits and signs.");
  }
  return undefined;
}
