import type { Job, Status } from "../api/types";
import { bytes, count, moment } from "../shared/format";
import { Scrolling } from "../shared/Scrolling";
import { Pill } from "./Pill";
import { jobTone } from "./states";

const NOTHING = "–";

/** The newest ingest jobs. */
export function JobsCard({ jobs: { jobs, reason, more } }: Pick<Status, "jobs">) {
  return (
    <section className="card jobs" aria-labelledby="jobs">
      <h2 id="jobs">Ingest jobs</h2>
      {reason && <p className="notice wait">Not known: {reason}</p>}
      {!reason && jobs.length === 0 && <p className="hint">No file has been ingested yet.</p>}
      {jobs.length > 0 && (
        <Scrolling label="Table of ingest jobs">
          <table>
            <thead>
              <tr>
                <th scope="col">Job</th>
                <th scope="col">State</th>
                <th scope="col">Read</th>
                <th scope="col" className="number">
                  Lines
                </th>
                <th scope="col" className="number">
                  Taught
                </th>
                <th scope="col" className="number">
                  Bad
                </th>
                <th scope="col">Accepted</th>
              </tr>
            </thead>
            <tbody>
              {jobs.map((job) => (
                <Row key={job.id} job={job} />
              ))}
            </tbody>
          </table>
        </Scrolling>
      )}
      {more && <p className="hint">There are more; this edition shows the newest {jobs.length}.</p>}
    </section>
  );
}

function Row({ job }: { job: Job }) {
  const state = job.state ?? "not known";
  return (
    <tr>
      <th scope="row">
        <code>{job.id}</code>
      </th>
      <td>
        <Pill tone={jobTone(state)}>{state}</Pill>
        {job.reason && <p className="hint">{job.reason}</p>}
      </td>
      <td>{progress(job)}</td>
      <td className="number">{figure(job.lines_read)}</td>
      <td className="number">{figure(job.taught)}</td>
      <td className={job.bad ? "number some-bad" : "number"}>{figure(job.bad)}</td>
      <td>{job.created_at ? moment(job.created_at) : NOTHING}</td>
    </tr>
  );
}

function progress({ bytes_done: done, bytes_total: total }: Job): string {
  if (total === undefined) return NOTHING;
  // Rounded down: all is read only when all is read.
  const share = total === 0 ? 100 : Math.floor(((done ?? 0) / total) * 100);
  return `${share} % of ${bytes(total)}`;
}

function figure(value: number | undefined): string {
  return value === undefined ? NOTHING : count(value);
}
