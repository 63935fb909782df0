import { useState } from "react";
import { type ApiError, asApiError } from "../api/error";
import { cancelJob } from "../api/jobs";
import type { Job } from "../api/types";
import { count, sentence } from "../shared/format";
import { Message } from "../shared/Message";
import { Title } from "../shared/Title";
import { JobItem } from "./JobItem";
import { useJobs } from "./useJobs";
import "./jobs.css";

/** All ingest jobs, newest first. */
export function JobsPage({ onSignedOut }: { onSignedOut(): void }) {
  const { jobs, next, more, error, isReadingMore, readMore, refresh } = useJobs(onSignedOut);
  const [message, setMessage] = useState<{ done?: string; error?: ApiError }>({});

  async function cancel(job: Job) {
    setMessage({});
    try {
      await cancelJob(job.id);
      setMessage({ done: `Job ${job.id} is cancelled.` });
    } catch (cause) {
      const failure = asApiError(cause);
      if (failure.isSignedOut) onSignedOut();
      else setMessage({ error: failure });
    }
    refresh();
  }

  return (
    <>
      <Title>Ingest jobs</Title>
      <p className="hint">Files uploaded to the bulk ingester. It keeps only the most recent finished jobs.</p>
      <Message {...message} />
      <div role="alert">
        {error && (
          <p className="notice bad">
            <strong>{jobs ? "These jobs may be outdated." : "Jobs are unavailable."}</strong> {sentence(error.message)}{" "}
            This page keeps retrying.
          </p>
        )}
      </div>
      {!jobs && !error && <p className="working">Loading jobs…</p>}
      {jobs?.length === 0 && <p className="card hint">No ingest jobs yet.</p>}
      {jobs && jobs.length > 0 && (
        <>
          <p className="hint">{summary(jobs.length, more)}</p>
          <div className="jobs-list">
            {jobs.map((job) => (
              <JobItem key={job.id} job={job} onCancel={() => cancel(job)} onSignedOut={onSignedOut} />
            ))}
          </div>
          {next !== null && (
            <p className="actions">
              <button type="button" disabled={isReadingMore} onClick={readMore}>
                {isReadingMore ? "Loading…" : "Show older jobs"}
              </button>
            </p>
          )}
          {next === null && more && (
            <p className="hint">The ingester lists only these jobs; there may be older ones.</p>
          )}
        </>
      )}
    </>
  );
}

function summary(shown: number, more: boolean): string {
  const jobs = `${count(shown)} ${shown === 1 ? "job" : "jobs"}`;
  return more ? `The newest ${jobs}.` : `All ${jobs}, newest first.`;
}
