import { useEffect, useEffectEvent, useState } from "react";
import { readConcept } from "../api/concepts";
import { type ApiError, asApiError } from "../api/error";
import type { Concept } from "../api/types";
import { sentence } from "../shared/format";
import { ScrollRegion } from "../shared/ScrollRegion";

/** The whole of a text, with its id and metadata. */
export function WholeText({ id, onSignedOut }: { id: string; onSignedOut(): void }) {
  const [concept, setConcept] = useState<Concept>();
  const [error, setError] = useState<ApiError>();
  const signedOut = useEffectEvent(onSignedOut);

  useEffect(() => {
    const closed = new AbortController();
    readConcept(id, closed.signal)
      .then(setConcept)
      .catch((cause) => {
        if (closed.signal.aborted) return;
        const failure = asApiError(cause);
        if (failure.isSignedOut) signedOut();
        else setError(failure);
      });
    return () => closed.abort();
  }, [id]);

  if (error) {
    return (
      <p className="notice bad" role="alert">
        {sentence(error.message)}
      </p>
    );
  }
  if (!concept) return <p className="working">Loading the text…</p>;
  return (
    <>
      <ScrollRegion label="Whole text">
        <p className="whole">{concept.text}</p>
      </ScrollRegion>
      <dl className="facts wide">
        <div>
          <dt>Id</dt>
          <dd>
            <code>{concept.id}</code>
          </dd>
        </div>
        {Object.entries(concept.metadata ?? {}).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{typeof value === "string" ? value : JSON.stringify(value)}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}
