import { useEffect, useEffectEvent, useState } from "react";
import { readPasswordRules } from "../api/control";
import { type ApiError, asApiError } from "../api/error";
import type { PasswordRules } from "../api/types";
import { sentence } from "../shared/format";
import { Title } from "../shared/Title";
import { PasswordForm } from "./PasswordForm";
import "./password.css";

interface Props {
  operator: string;
  onSignedOut(): void;
}

/** Changes the operator's own password, if this control can store it. */
export function PasswordPage({ operator, onSignedOut }: Props) {
  const [rules, setRules] = useState<PasswordRules>();
  const [error, setError] = useState<ApiError>();
  const signedOut = useEffectEvent(onSignedOut);

  useEffect(() => {
    const closed = new AbortController();
    readPasswordRules(closed.signal)
      .then(setRules)
      .catch((cause) => {
        if (closed.signal.aborted) return;
        const failure = asApiError(cause);
        if (failure.isSignedOut) signedOut();
        else setError(failure);
      });
    return () => closed.abort();
  }, []);

  return (
    <>
      <Title>Change password</Title>
      {!rules && !error && <p className="working">Loading…</p>}
      {error && (
        <p className="notice bad" role="alert">
          {sentence(error.message)}
        </p>
      )}
      {rules?.reason && (
        <p className="notice wait">
          <strong>Your password cannot be changed on this page.</strong> {sentence(rules.reason)}
        </p>
      )}
      {rules && !rules.reason && <PasswordForm operator={operator} rules={rules} onSignedOut={onSignedOut} />}
    </>
  );
}
