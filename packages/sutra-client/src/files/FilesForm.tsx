import { type DragEvent, useId, useRef, useState } from "react";
import type { PageProps } from "../shared/page";
import { JobFile } from "./JobFile";
import { kindOf, SUFFIXES } from "./kinds";
import { TextFile } from "./TextFile";
import { UnsupportedFile } from "./UnsupportedFile";
import "./files.css";

/** Poll interval of one job in milliseconds; several jobs share the rate. */
const POLL_INTERVAL = 2_000;

interface Chosen {
  id: number;
  file: File;
  /** `sent` once the next file may start; `done` once nothing more happens. */
  progress: "waiting" | "sent" | "done";
}

/** What every chosen file needs. */
export interface FileProps extends Omit<PageProps, "title"> {
  file: File;
  /** Whether the files before it have been sent. */
  mayStart: boolean;
  /** Called when the next file may start. */
  onSent(): void;
  /** Called when nothing more happens. */
  onDone(): void;
}

/** The field for files, which are sent one after the other, with their progress. */
export function FilesForm(page: Omit<PageProps, "title">) {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const next = useRef(1);
  const [chosen, setChosen] = useState<Chosen[]>([]);
  const [isOver, setIsOver] = useState(false);
  const first = chosen.find(({ progress }) => progress === "waiting")?.id;
  const active = chosen.filter(({ progress }) => progress !== "done").length;

  function add(files: FileList | null) {
    if (!files || files.length === 0) return;
    if (page.apiKey === "") {
      page.onNeedKey();
      return;
    }
    const added = [...files].map((file): Chosen => ({ id: next.current++, file, progress: "waiting" }));
    setChosen((before) => [...before, ...added]);
    if (field.current) field.current.value = "";
  }

  function update(changed: number, progress: Chosen["progress"]) {
    setChosen((before) => before.map((one) => (one.id === changed ? { ...one, progress } : one)));
  }

  function drag(event: DragEvent, over: boolean) {
    event.preventDefault();
    setIsOver(over);
  }

  return (
    <section className="card" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>Teach files</h2>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the field inside does the same by keyboard */}
      <div
        className={isOver ? "drop over" : "drop"}
        onDragOver={(event) => drag(event, true)}
        onDragLeave={(event) => drag(event, false)}
        onDrop={(event) => {
          drag(event, false);
          add(event.dataTransfer.files);
        }}
      >
        <label htmlFor={`${id}-files`}>Choose files or drop them here</label>
        <input
          ref={field}
          id={`${id}-files`}
          type="file"
          multiple
          accept={SUFFIXES}
          aria-describedby={`${id}-formats`}
          onChange={(event) => add(event.target.files)}
        />
      </div>
      <p id={`${id}-formats`} className="hint">
        Text or Markdown (.txt, .md), or many texts in one file: JSON lines (.jsonl) with <code>text</code> and
        optionally <code>title</code> and <code>source</code>, or CSV (.csv) with columns of these names. Without a
        source, the file name is the source.
      </p>
      {chosen.length > 0 && (
        <ul className="files" aria-label="Files">
          {chosen.map(({ id, file, progress }) => {
            const kind = kindOf(file.name);
            const props = {
              ...page,
              file,
              mayStart: progress !== "waiting" || id === first,
              onSent: () => update(id, "sent"),
              onDone: () => update(id, "done"),
            };
            return (
              <li key={id} className="file">
                {kind === undefined && <UnsupportedFile {...props} />}
                {kind === "texts" && <TextFile {...props} />}
                {typeof kind === "object" && (
                  <JobFile {...props} format={kind.job} interval={POLL_INTERVAL * Math.max(1, active)} />
                )}
              </li>
            );
          })}
        </ul>
      )}
    </section>
  );
}
