import { useState } from "react";
import { signOut } from "./api/control";
import { asApiError } from "./api/error";
import { SignInForm } from "./session/SignInForm";
import { useSession } from "./session/useSession";
import { Dashboard } from "./status/Dashboard";

const OVER = "Your session is over. Sign in again.";

/** The whole page: the sign-in, or what operators see. */
export function App() {
  const { session, enter, leave } = useSession();
  const [fault, setFault] = useState("");

  async function out() {
    try {
      await signOut();
    } catch (cause) {
      const error = asApiError(cause);
      if (!error.isSignedOut) {
        setFault(`You are still signed in: ${error.message}`);
        return;
      }
    }
    setFault("");
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
            <button type="button" onClick={out}>
              Sign out
            </button>
          </div>
        )}
      </header>
      <main>
        {fault && (
          <p className="notice bad" role="alert">
            {fault}
          </p>
        )}
        {session.state === "asking" && <p className="working">Asking control…</p>}
        {session.state === "unreachable" && (
          <p className="notice bad" role="alert">
            <strong>Sutra control is not answering.</strong> {session.error.message} This page keeps trying.
          </p>
        )}
        {session.state === "out" && <SignInForm why={session.why} onEnter={enter} />}
        {session.state === "in" && <Dashboard onSignedOut={() => leave(OVER)} />}
      </main>
    </>
  );
}
