import { type FormEvent, type RefObject, useId, useState } from "react";
import { ApiError } from "../api/error";
import { checkKey } from "../api/sutra";
import { ErrorNotice } from "../shared/ErrorNotice";
import type { KeyStorage } from "./store";

// Characters that are safe in a header.
const VALID_KEY = /^[\x21-\x7e]+$/;

interface Props {
  /** The input field, so that callers can focus it. */
  field: RefObject<HTMLInputElement | null>;
  /** Called with a key that the service accepted or could not check. */
  onKey(key: string, storage: KeyStorage): void;
  /** Cancels changing an existing key. */
  onCancel?: (() => void) | undefined;
}

/** The form for the API key, which checks the key before saving it. */
export function KeyForm({ field, onKey, onCancel }: Props) {
  const [onDevice, setOnDevice] = useState(false);
  const [checking, setChecking] = useState(false);
  const [error, setError] = useState<ApiError>();
  const id = useId();

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const key = field.current?.value.trim() ?? "";
    const invalid = validate(key);
    setError(invalid);
    if (invalid) {
      field.current?.focus();
      return;
    }
    setChecking(true);
    try {
      await checkKey({ key });
    } catch (cause) {
      // Only reject the key for key errors; the service may be down or busy.
      if (cause instanceof ApiError && cause.isKeyError) {
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
        Sutra requires an API key. It is sent only to this server. Ask the administrator of this service for a key.
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
        Remember on this device
      </label>
      <p id={`${id}-where`} className="hint">
        {onDevice
          ? "Stored in this browser until you press “Forget key”. Do not use this on a shared computer."
          : "Stored for this tab only, until you close it."}
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

function validate(key: string): ApiError | undefined {
  if (key === "") return new ApiError(400, "key_missing", "Enter an API key.");
  if (!VALID_KEY.test(key)) {
    return new ApiError(
      400,
      "key_unsendable",
      "An API key contains only ASCII letters, digits and symbols, without spaces.",
    );
  }
  return undefined;
}
