import type { Job, Status } from "../api/types";
import { count, moment, words } from "../shared/format";
import { Scrolling } from "../shared/Scrolling";
import { Pill } from "./Pill";
import { jobTone } from "./states";

/** The newest ingest jobs. */
export function JobsCard({ jobs: { jobs, reason, more } }: Pick<Status, "jobs">) {
  return (
    <section className="card" aria-labelledby="jobs">
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
                <th scope="col">What it says</th>
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
  const { id, state: named, status, ...rest } = job;
  const state = String(named ?? status ?? "not known");
  return (
    <tr>
      <th scope="row">
        <code>{id}</code>
      </th>
      <td>
        <Pill tone={jobTone(state)}>{state}</Pill>
      </td>
      <td>
        {Object.entries(rest)
          .map(([name, value]) => `${words(name)} ${shown(name, value)}`)
          .join(" · ")}
      </td>
    </tr>
  );
}

function shown(name: string, value: string | number): string {
  if (typeof value === "number") return count(value);
  return name.endsWith("_at") ? moment(value) : value;
}
