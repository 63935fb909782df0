import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import { signIn } from "../api/control";
import { type ApiError, asApiError } from "../api/error";
import { sentence } from "../shared/format";

interface Props {
  /** Shown above the fields: that the session has ended, or that sign-in is impossible. */
  notice: string;
  onEnter(operator: string): void;
}

/** The sign-in form for operators. */
export function SignInForm({ notice, onEnter }: Props) {
  const id = useId();
  const name = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const [sending, setSending] = useState(false);
  const [error, setError] = useState<ApiError>();

  useEffect(() => {
    name.current?.focus();
  }, []);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (sending || !name.current || !password.current) return;
    const empty = [name.current, password.current].find((field) => field.value.trim() === "");
    if (empty) {
      empty.focus();
      return;
    }
    setSending(true);
    setError(undefined);
    try {
      onEnter(await signIn(name.current.value, password.current.value));
    } catch (cause) {
      setSending(false);
      setError(asApiError(cause));
      password.current?.select();
    }
  }

  const isWrong = error?.isSignedOut === true;
  return (
    <form className="card sign-in" onSubmit={submit} aria-labelledby={`${id}-title`} noValidate>
      <h1 id={`${id}-title`}>Sign in</h1>
      <p className="hint">For Sutra operators.</p>
      <div role="status">{notice && <p className="notice wait">{sentence(notice)}</p>}</div>
      <label htmlFor={`${id}-name`}>Name</label>
      <input
        ref={name}
        id={`${id}-name`}
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        required
        aria-invalid={isWrong}
      />
      <label htmlFor={`${id}-password`}>Password</label>
      <input
        ref={password}
        id={`${id}-password`}
        type="password"
        autoComplete="current-password"
        required
        aria-invalid={isWrong}
        aria-describedby={error ? `${id}-error` : undefined}
      />
      {error && (
        <p id={`${id}-error`} className="notice bad" role="alert">
          {sentence(error.message)}
        </p>
      )}
      <div className="actions">
        <button type="submit" className="primary" disabled={sending}>
          {sending ? "Signing in…" : "Sign in"}
        </button>
      </div>
    </form>
  );
}
