import { useState } from "react";
import { signOut } from "./api/control";
import { asApiError } from "./api/error";
import { ConceptsPage } from "./concepts/ConceptsPage";
import { Header } from "./Header";
import { JobsPage } from "./jobs/JobsPage";
import { PasswordPage } from "./password/PasswordPage";
import { SignInForm } from "./session/SignInForm";
import { useSession } from "./session/useSession";
import { useRoute } from "./shared/useRoute";
import { Dashboard } from "./status/Dashboard";

const SESSION_ENDED = "Your session has ended. Sign in again.";

/** The whole page: sign-in, or the view that the URL names. */
export function App() {
  const { session, enter, leave } = useSession();
  const [error, setError] = useState("");
  const route = useRoute();

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

  const onSignedOut = () => leave(SESSION_ENDED);
  return (
    <>
      <Header operator={session.state === "in" ? session.operator : undefined} route={route} onSignOut={endSession} />
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
        {session.state === "in" && route === "#/" && <Dashboard onSignedOut={onSignedOut} />}
        {session.state === "in" && route === "#/jobs" && <JobsPage onSignedOut={onSignedOut} />}
        {session.state === "in" && route === "#/concepts" && <ConceptsPage onSignedOut={onSignedOut} />}
        {session.state === "in" && route === "#/password" && (
          <PasswordPage operator={session.operator} onSignedOut={onSignedOut} />
        )}
      </main>
    </>
  );
}
