import type { Job } from "../api/types";
import { Progress } from "../shared/Progress";
import { countOf } from "../shared/words";

interface Props {
  job: Job;
  /** Whether the latest state could not be read. */
  isStale: boolean;
}

/** The state of a job, with its bad lines. */
export function JobStatus({ job, isStale }: Props) {
  return (
    <>
      <State job={job} />
      {isStale && <p className="hint">Cannot read the progress right now. This page keeps trying.</p>}
      {job.bad > 0 && (
        <details className="bad-lines">
          <summary>{countOf(job.bad, "line")} could not be taught</summary>
          <ul>
            {job.badLines.map(({ line, reason }) => (
              <li key={line}>
                Line {line}: {reason}
              </li>
            ))}
          </ul>
          {job.bad > job.badLines.length && <p className="hint">Only the first {job.badLines.length} are listed.</p>}
        </details>
      )}
    </>
  );
}

function State({ job }: { job: Job }) {
  const learned = `Sutra has learned ${countOf(job.taught, "text")} from this file.`;
  switch (job.state) {
    case "queued":
      return <p className="working">Uploaded. Waiting for earlier files…</p>;
    case "running":
    case "waiting":
      return (
        <Progress
          label={job.state === "running" ? "Teaching…" : "Waiting…"}
          done={job.bytesDone}
          total={job.bytesTotal}
        >
          {countOf(job.taught, "text")} learned so far. The service continues even if you close this page.
          {job.state === "waiting" && job.reason && ` Waiting: ${job.reason}.`}
        </Progress>
      );
    case "done":
      return <p className={job.bad > 0 ? "notice wait" : "notice good"}>{learned}</p>;
    case "cancelled":
      return <p className="notice wait">Cancelled by an administrator. {learned}</p>;
    case "failed":
      return (
        <div className="notice bad">
          <p>
            <strong>This file {job.taught > 0 ? "was only partly taught" : "could not be taught"}.</strong> {job.reason}
          </p>
          <p>{learned} Correct the file, then choose it again: texts that Sutra already knows are not stored twice.</p>
        </div>
      );
  }
}
