import { useId } from "react";
import type { Job } from "../api/types";
import { Confirm } from "../shared/Confirm";
import { count, localTime } from "../shared/format";
import { useQuestion } from "../shared/useQuestion";
import { Pill } from "../status/Pill";
import { jobTone } from "../status/states";
import { BadLines } from "./BadLines";
import { isActive, NO_VALUE, numberOf, progress } from "./progress";

interface Props {
  job: Job;
  /** Cancels the job; resolves when that has ended, well or not. */
  onCancel(): Promise<void>;
  onSignedOut(): void;
}

/** A job: state, counts, bad lines and cancelling. */
export function JobItem({ job, onCancel, onSignedOut }: Props) {
  const id = useId();
  const cancelling = useQuestion(onCancel);
  const state = job.state ?? "unknown";
  const canCancel = isActive(job.state);

  return (
    <article className="card job" aria-labelledby={id}>
      <div className="job-head">
        <h2 id={id}>
          <code>{job.id}</code>
        </h2>
        <Pill tone={jobTone(state)}>{state}</Pill>
        {canCancel && !cancelling.asking && (
          <button {...cancelling.button} className="small push">
            Cancel <span className="visually-hidden">job {job.id}</span>
          </button>
        )}
      </div>
      {job.reason && <p className="hint reason">{job.reason}</p>}
      <dl className="facts">
        <Fact name="Progress" value={progress(job)} />
        <Fact name="Lines read" value={numberOf(job.lines_read)} />
        <Fact name="Texts taught" value={numberOf(job.taught)} />
        <Fact name="Bad lines" value={numberOf(job.bad)} isBad={Boolean(job.bad)} />
        <Fact name="Created" value={job.created_at ? localTime(job.created_at) : NO_VALUE} />
        <Fact name="Ended" value={job.ended_at ? localTime(job.ended_at) : NO_VALUE} />
      </dl>
      {canCancel && cancelling.asking && (
        <Confirm
          question={`Cancel job ${job.id}?`}
          action="Cancel the job"
          acting="Cancelling…"
          keep="Keep running"
          {...cancelling.answers}
        >
          {whatGoes(job)}
        </Confirm>
      )}
      {job.bad ? <BadLines id={job.id} total={job.bad} onSignedOut={onSignedOut} /> : null}
    </article>
  );
}

function Fact({ name, value, isBad = false }: { name: string; value: string; isBad?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd className={isBad ? "some-bad" : undefined}>{value}</dd>
    </div>
  );
}

function whatGoes({ taught }: Job): string {
  const texts = taught === 1 ? "1 text taught so far stays." : `${count(taught ?? 0)} texts taught so far stay.`;
  const stays = taught ? texts : "Nothing has been taught so far.";
  return `${stays} The rest of the file is not taught, and the upload is deleted. To continue, upload it again.`;
}
