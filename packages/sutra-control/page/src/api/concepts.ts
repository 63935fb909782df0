import { whoAmI } from "./control";
import { ApiError } from "./error";
import { asObject, LONG_TIMEOUT, request, unexpectedResponse } from "./request";
import type { Concept, ConceptsPage, Imported, Source } from "./types";

/** Sources in one response. */
const SOURCES_PER_PAGE = 200;
/** More sources than this are not listed. */
const MAX_SOURCES = 5_000;

/**
 * Lists texts; an empty `source` means all.
 * @throws {ApiError} with `isSignedOut` if the session has ended; others if the request fails.
 */
export async function readConcepts(source: string, cursor: string | null, signal?: AbortSignal): Promise<ConceptsPage> {
  const query = new URLSearchParams({ ...(source && { source }), ...(cursor !== null && { cursor }) }).toString();
  const path = query ? `/api/concepts?${query}` : "/api/concepts";
  const body = asObject(await request("GET", path, { signal, timeout: LONG_TIMEOUT }));
  if (!Array.isArray(body.concepts)) throw unexpectedResponse();
  return body as unknown as ConceptsPage;
}

/** @throws {ApiError} like {@link readConcepts}. */
export async function readConcept(id: string, signal?: AbortSignal): Promise<Concept> {
  const body = asObject(await request("GET", pathOf(id), { signal, timeout: LONG_TIMEOUT }));
  if (typeof body.text !== "string") throw unexpectedResponse();
  return body as unknown as Concept;
}

/**
 * Lists all sources, up to a limit; `isComplete` if that was not reached.
 * @throws {ApiError} like {@link readConcepts}.
 */
export async function readSources(signal?: AbortSignal): Promise<{ sources: Source[]; isComplete: boolean }> {
  const sources: Source[] = [];
  let cursor: string | undefined;
  do {
    const query = new URLSearchParams({ limit: String(SOURCES_PER_PAGE), ...(cursor && { cursor }) });
    const body = asObject(await request("GET", `/api/sources?${query}`, { signal, timeout: LONG_TIMEOUT }));
    if (!Array.isArray(body.sources)) throw unexpectedResponse();
    sources.push(...(body.sources as Source[]));
    cursor = typeof body.next === "string" ? body.next : undefined;
  } while (cursor && sources.length < MAX_SOURCES);
  return { sources, isComplete: cursor === undefined };
}

/** @throws {ApiError} like {@link readConcepts}. */
export async function deleteConcept(id: string): Promise<void> {
  await request("DELETE", pathOf(id), { timeout: LONG_TIMEOUT });
}

/**
 * Deletes everything of a source and returns the number of concepts.
 * @throws {ApiError} like {@link readConcepts}.
 */
export async function deleteSource(source: string): Promise<number> {
  const path = `/api/concepts?${new URLSearchParams({ source })}`;
  const { deleted } = asObject(await request("DELETE", path, { timeout: LONG_TIMEOUT }));
  if (typeof deleted !== "number") throw unexpectedResponse();
  return deleted;
}

/** The address of an export of everything that was taught. */
export const EXPORT_PATH = "/api/export/concepts";

/**
 * Imports an export.
 * @throws {ApiError} like {@link readConcepts}. What was stored before an error stays.
 */
export async function importConcepts(file: File): Promise<Imported> {
  // Without a session, control closes the connection instead of reading the file, and browsers do not show its answer.
  const { operator } = await whoAmI();
  if (operator === null) throw new ApiError(401, "unauthorized", "Not signed in.");
  const body = asObject(await request("POST", "/api/import/concepts", { body: file, timeout: null }));
  const isComplete = [body.lines, body.created, body.updated].every((value) => typeof value === "number");
  if (!isComplete) throw unexpectedResponse();
  return body as unknown as Imported;
}

function pathOf(id: string): string {
  return `/api/concepts/${encodeURIComponent(id)}`;
}
