import { useState } from "react";
import { deleteConcept, deleteSource, importConcepts } from "../api/concepts";
import { type ApiError, asApiError } from "../api/error";
import type { Concept } from "../api/types";
import { count, sentence } from "../shared/format";
import { Message } from "../shared/Message";
import { Title } from "../shared/Title";
import { ConceptItem } from "./ConceptItem";
import { nameOf } from "./names";
import { SourceBar } from "./SourceBar";
import { TransferBar } from "./TransferBar";
import { useConcepts } from "./useConcepts";
import { useSources } from "./useSources";
import "./concepts.css";

/** Everything that was taught: browse by source, read, delete, export and import. */
export function ConceptsPage({ onSignedOut }: { onSignedOut(): void }) {
  const [source, setSource] = useState("");
  const [message, setMessage] = useState<{ done?: string; error?: ApiError }>({});
  const sources = useSources(onSignedOut);
  const { concepts, hasMore, isReading, error, readMore, refresh, remove } = useConcepts(source, onSignedOut);

  /** Runs `action` and shows what it says it has done. */
  async function act(action: () => Promise<string>) {
    setMessage({});
    try {
      setMessage({ done: await action() });
    } catch (cause) {
      const failure = asApiError(cause);
      if (failure.isSignedOut) onSignedOut();
      else setMessage({ error: failure });
    }
    sources.refresh();
  }

  const removeOne = (concept: Concept) =>
    act(async () => {
      await deleteConcept(concept.id);
      remove(concept.id);
      return `Deleted: ${nameOf(concept)}.`;
    });

  const removeSource = () =>
    act(async () => {
      const deleted = await deleteSource(source);
      setSource("");
      refresh();
      return `Deleted ${count(deleted)} ${deleted === 1 ? "concept" : "concepts"} from ${source}.`;
    });

  const importFile = (file: File) =>
    act(async () => {
      const { lines, created, updated } = await importConcepts(file);
      refresh();
      return `${count(lines)} ${lines === 1 ? "line" : "lines"}: created ${count(created)}, updated ${count(updated)}.`;
    });

  function show(chosen: string) {
    setMessage({});
    setSource(chosen);
  }

  return (
    <>
      <Title>Concepts</Title>
      <p className="hint">All taught texts. A long text is stored as several concepts (passages) but shown as one.</p>
      <SourceBar sources={sources} selected={source} onSelect={show} onDelete={removeSource} />
      <TransferBar onImport={importFile} />
      <Message {...message} />
      <div className="concepts-list">
        {concepts?.map((concept) => (
          <ConceptItem
            key={concept.id}
            concept={concept}
            onSource={source === "" ? show : undefined}
            onDelete={() => removeOne(concept)}
            onSignedOut={onSignedOut}
          />
        ))}
      </div>
      <div role="alert">
        {error && (
          <p className="notice bad">
            <strong>The texts are unavailable.</strong> {sentence(error.message)}
          </p>
        )}
      </div>
      {concepts?.length === 0 && !isReading && !hasMore && (
        <p className="card hint">{source ? "No texts from this source." : "Nothing has been taught yet."}</p>
      )}
      {isReading && !concepts && <p className="working">Loading texts…</p>}
      {(hasMore || error) && (
        <p className="actions">
          <button type="button" disabled={isReading} onClick={readMore}>
            {isReading ? "Loading…" : error ? "Try again" : "Show more texts"}
          </button>
        </p>
      )}
    </>
  );
}
