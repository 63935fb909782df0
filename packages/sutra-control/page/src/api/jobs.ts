import { asObject, LONG_TIMEOUT, request, unexpectedResponse } from "./request";
import type { BadLine, JobsPage } from "./types";

/** @throws {ApiError} with `isSignedOut` if the session has ended; others if the request fails. */
export async function readJobs(cursor: string | null, signal?: AbortSignal): Promise<JobsPage> {
  const query = cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`;
  const body = asObject(await request("GET", `/api/jobs${query}`, { signal, timeout: LONG_TIMEOUT }));
  if (!Array.isArray(body.jobs)) throw unexpectedResponse();
  return body as unknown as JobsPage;
}

/** @throws {ApiError} like {@link readJobs}. */
export async function readBadLines(id: string, signal?: AbortSignal): Promise<BadLine[]> {
  const body = asObject(await request("GET", pathOf(id), { signal, timeout: LONG_TIMEOUT }));
  if (!Array.isArray(body.bad_lines)) throw unexpectedResponse();
  return body.bad_lines as BadLine[];
}

/** @throws {ApiError} like {@link readJobs}, and if the job has already ended. */
export async function cancelJob(id: string): Promise<void> {
  await request("DELETE", pathOf(id), { timeout: LONG_TIMEOUT });
}

function pathOf(id: string): string {
  return `/api/jobs/${encodeURIComponent(id)}`;
}
