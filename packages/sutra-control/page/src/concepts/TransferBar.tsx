import { type FormEvent, useId, useRef, useState } from "react";
import { EXPORT_PATH } from "../api/concepts";

interface Props {
  /** Imports a file; resolves when that has ended, well or not. */
  onImport(file: File): Promise<void>;
}

/** Exports everything that was taught, and imports such a file. */
export function TransferBar({ onImport }: Props) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [file, setFile] = useState<File>();
  const [busy, setBusy] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (!file || busy) return;
    setBusy(true);
    await onImport(file);
    setBusy(false);
    setFile(undefined);
    if (input.current) input.current.value = "";
  }

  return (
    <form className="card transfer-bar" aria-label="Export and import" onSubmit={submit}>
      <div className="actions">
        <a href={EXPORT_PATH} download>
          Export
        </a>
        <label className="push" htmlFor={id}>
          File to import
        </label>
        <input
          ref={input}
          id={id}
          type="file"
          accept=".jsonl,application/x-ndjson"
          disabled={busy}
          aria-describedby={`${id}-hint`}
          onChange={(event) => setFile(event.target.files?.[0])}
        />
        <button type="submit" disabled={!file || busy}>
          {busy ? "Importing…" : "Import"}
        </button>
      </div>
      <p className="hint" id={`${id}-hint`}>
        An export contains all texts from all sources. An import replaces texts with the same ids and keeps the rest; if
        it fails, import the file again.
      </p>
      <div role="status">
        {busy && <p className="working">Importing {file?.name}. Stay on this page until the import has finished.</p>}
      </div>
    </form>
  );
}
