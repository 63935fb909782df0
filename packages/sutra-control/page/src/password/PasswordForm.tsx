import { type FormEvent, type RefObject, useId, useRef, useState } from "react";
import { changePassword } from "../api/control";
import { asApiError } from "../api/error";
import type { PasswordRules } from "../api/types";
import { count, sentence } from "../shared/format";

interface Props {
  operator: string;
  rules: PasswordRules;
  onSignedOut(): void;
}

type Field = "current" | "next" | "again";

/** The form for the current and the new password. */
export function PasswordForm({ operator, rules, onSignedOut }: Props) {
  const id = useId();
  const fields = {
    current: useRef<HTMLInputElement>(null),
    next: useRef<HTMLInputElement>(null),
    again: useRef<HTMLInputElement>(null),
  };
  const [sending, setSending] = useState(false);
  const [done, setDone] = useState("");
  const [fault, setFault] = useState<{ text: string; field?: Field }>();

  function refuse(text: string, field?: Field) {
    setFault({ text, ...(field && { field }) });
    if (field) fields[field].current?.focus();
  }

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const [current, next, again] = [contentOf(fields.current), contentOf(fields.next), contentOf(fields.again)];
    if (sending) return;
    setDone("");
    setFault(undefined);
    if (current === "") return refuse("Enter your current password.", "current");
    if ([...next].length < rules.min_characters) {
      return refuse(`The new password needs at least ${rules.min_characters} characters.`, "next");
    }
    if (next !== again) return refuse("The new passwords do not match. Enter both again.", "again");
    setSending(true);
    try {
      setDone(success(await changePassword(current, next)));
      for (const field of Object.values(fields)) if (field.current) field.current.value = "";
    } catch (cause) {
      const failure = asApiError(cause);
      if (failure.isSignedOut) onSignedOut();
      else refuse(sentence(failure.message), FIELD_OF[failure.code]);
    } finally {
      setSending(false);
    }
  }

  const attributes = (field: Field) => ({
    ref: fields[field],
    id: `${id}-${field}`,
    type: "password",
    required: true,
    "aria-invalid": fault?.field === field,
    "aria-describedby": fault?.field === field ? `${id}-fault` : field === "next" ? `${id}-rules` : undefined,
  });
  return (
    <form className="card password" onSubmit={submit} noValidate>
      {/* For password managers. */}
      <input
        className="visually-hidden"
        type="text"
        autoComplete="username"
        value={operator}
        readOnly
        tabIndex={-1}
        aria-hidden="true"
      />
      <label htmlFor={`${id}-current`}>Current password</label>
      <input {...attributes("current")} autoComplete="current-password" />
      <label htmlFor={`${id}-next`}>New password</label>
      <p id={`${id}-rules`} className="hint">
        At least {rules.min_characters} characters, {rules.min_different} of them different, without your name. Several
        unrelated words are easy to remember.
      </p>
      <input {...attributes("next")} autoComplete="new-password" />
      <label htmlFor={`${id}-again`}>Repeat new password</label>
      <input {...attributes("again")} autoComplete="new-password" />
      <div role="status">{done && <p className="notice good">{done}</p>}</div>
      <div role="alert">
        {fault && (
          <p id={`${id}-fault`} className="notice bad">
            {fault.text}
          </p>
        )}
      </div>
      <p className="hint">You will be signed out in other browsers.</p>
      <div className="actions">
        <button type="submit" className="primary" disabled={sending}>
          {sending ? "Changing…" : "Change password"}
        </button>
      </div>
    </form>
  );
}

/** The field at fault, by the code of an error. */
const FIELD_OF: Record<string, Field> = { wrong_password: "current", weak_password: "next" };

function contentOf(field: RefObject<HTMLInputElement | null>): string {
  return field.current?.value ?? "";
}

function success(ended: number): string {
  const others = ended === 1 ? "1 other session has ended." : `${count(ended)} other sessions have ended.`;
  return `Password changed.${ended > 0 ? ` ${others}` : ""}`;
}
