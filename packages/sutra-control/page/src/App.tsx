import { useState } from "react";
import { signOut } from "./api/control";
import { asApiError } from "./api/error";
import { SignInForm } from "./session/SignInForm";
import { useSession } from "./session/useSession";
import { Dashboard } from "./status/Dashboard";

const SESSION_ENDED = "Your session has ended. Sign in again.";

/** The whole page: sign-in or dashboard. */
export function App() {
  const { session, enter, leave } = useSession();
  const [error, setError] = useState("");

  async function endSession() {
    try {
      await signOut();
    } catch (cause) {
      const failure = asApiError(cause);
      if (!failure.isSignedOut) {
        setError(`You are still signed in: ${failure.message}`);
        return;
      }
    }
    setError("");
    leave("");
  }

  return (
    <>
      <header>
        <span className="brand">
          Sutra <span className="soft">control</span>
        </span>
        {session.state === "in" && (
          <div className="who">
            <span className="hint">
              Signed in as <strong>{session.operator}</strong>
            </span>
            <button type="button" onClick={endSession}>
              Sign out
            </button>
          </div>
        )}
      </header>
      <main>
        {error && (
          <p className="notice bad" role="alert">
            {error}
          </p>
        )}
        {session.state === "loading" && <p className="working">Loading…</p>}
        {session.state === "unreachable" && (
          <p className="notice bad" role="alert">
            <strong>Sutra control is not responding.</strong> {session.error.message} This page keeps retrying.
          </p>
        )}
        {session.state === "out" && <SignInForm notice={session.notice} onEnter={enter} />}
        {session.state === "in" && <Dashboard onSignedOut={() => leave(SESSION_ENDED)} />}
      </main>
    </>
  );
}
