import type { Job, Status } from "../api/types";
import { NO_VALUE, numberOf, progress } from "../jobs/progress";
import { localTime } from "../shared/format";
import { ScrollRegion } from "../shared/ScrollRegion";
import { Pill } from "./Pill";
import { jobTone } from "./states";

/** The newest ingest jobs. */
export function JobsCard({ jobs: { jobs, reason, more } }: Pick<Status, "jobs">) {
  return (
    <section className="card jobs" aria-labelledby="jobs">
      <h2 id="jobs">{jobs.length > 0 && more ? `Newest ${jobs.length} ingest jobs` : "Ingest jobs"}</h2>
      {reason && <p className="notice wait">Unavailable: {reason}</p>}
      {!reason && jobs.length === 0 && <p className="hint">No ingest jobs yet.</p>}
      {jobs.length > 0 && (
        <ScrollRegion label="Table of ingest jobs">
          <table>
            <thead>
              <tr>
                <th scope="col">Job</th>
                <th scope="col">State</th>
                <th scope="col">Progress</th>
                <th scope="col" className="number">
                  Lines
                </th>
                <th scope="col" className="number">
                  Taught
                </th>
                <th scope="col" className="number">
                  Bad lines
                </th>
                <th scope="col">Created</th>
              </tr>
            </thead>
            <tbody>
              {jobs.map((job) => (
                <Row key={job.id} job={job} />
              ))}
            </tbody>
          </table>
        </ScrollRegion>
      )}
      {jobs.length > 0 && (
        <p className="hint">
          <a href="#/jobs">Show all jobs and their bad lines</a>
        </p>
      )}
    </section>
  );
}

function Row({ job }: { job: Job }) {
  const state = job.state ?? "unknown";
  return (
    <tr>
      <th scope="row">
        <code>{job.id}</code>
      </th>
      <td>
        <Pill tone={jobTone(state)}>{state}</Pill>
        {job.reason && <p className="hint">{job.reason}</p>}
      </td>
      <td className="short">{progress(job)}</td>
      <td className="number">{numberOf(job.lines_read)}</td>
      <td className="number">{numberOf(job.taught)}</td>
      <td className={job.bad ? "number some-bad" : "number"}>{numberOf(job.bad)}</td>
      <td className="short">{job.created_at ? localTime(job.created_at) : NO_VALUE}</td>
    </tr>
  );
}
