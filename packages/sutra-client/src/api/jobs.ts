import { asList, asObject, type Call, request, texts, unexpectedResponse, withParameters } from "./request";
import type { BadLine, Job, JobState } from "./types";

/** The formats of files that the service teaches itself, with their media types. */
const MEDIA_TYPES = { jsonl: "application/x-ndjson", csv: "text/csv" };

/** A format of a file that the service teaches itself. */
export type Format = keyof typeof MEDIA_TYPES;

const STATES: ReadonlySet<unknown> = new Set<JobState>(["queued", "running", "waiting", "done", "failed", "cancelled"]);

/**
 * Uploads a file as a job. `source` is the source of lines without one.
 * @throws {ApiError} if the request fails; an `AbortError` if the signal is aborted.
 */
export async function upload(content: Blob, format: Format, source: string, call: Call): Promise<Job> {
  const file = { content, type: MEDIA_TYPES[format] };
  return asJob(await request(withParameters("/api/jobs", { format, source }), call, { file }));
}

/**
 * The state of a job.
 * @throws {ApiError} like {@link upload}; with status 404 if there is none.
 */
export async function readJob(id: string, call: Call): Promise<Job> {
  return asJob(await request(`/api/jobs/${encodeURIComponent(id)}`, call));
}

/** Whether the service has ended with the job. */
export function hasEnded({ state }: Job): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}

function asJob(value: unknown): Job {
  const fields = asObject(value);
  const { id, state } = fields;
  if (typeof id !== "string" || !isState(state)) throw unexpectedResponse();
  return {
    id,
    state,
    ...texts(fields, "reason"),
    bytesTotal: count(fields.bytes_total),
    bytesDone: count(fields.bytes_done),
    taught: count(fields.taught),
    bad: count(fields.bad),
    badLines: asList(fields.bad_lines ?? [], asBadLine),
  };
}

function asBadLine(value: unknown): BadLine {
  const { line, reason } = asObject(value);
  return { line: count(line), reason: String(reason) };
}

function isState(value: unknown): value is JobState {
  return STATES.has(value);
}

function count(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
