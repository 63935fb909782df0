import { asList, asObject, type Call, request, texts, unexpectedResponse, withParameters } from "./request";
import type { Page, Source, StoredText } from "./types";

/** Texts in one part of the list. */
const TEXTS_PER_PAGE = 20;
/** Sources in one part of the list. */
const SOURCES_PER_PAGE = 200;

/**
 * A part of the taught texts, from one source or from all.
 * @throws {ApiError} if the request fails; an `AbortError` if the signal is aborted.
 */
export async function listTexts(
  source: string | undefined,
  cursor: string | undefined,
  call: Call,
): Promise<Page<StoredText>> {
  const path = withParameters("/api/concepts", { limit: TEXTS_PER_PAGE, cursor, source });
  const reply = asObject(await request(path, call));
  return page(asList(reply.concepts, asStoredText), reply);
}

/**
 * The text with that id as a whole.
 * @throws {ApiError} like {@link listTexts}; with status 404 if there is none.
 */
export async function readText(id: string, call: Call): Promise<StoredText> {
  return asStoredText(await request(pathOf(id), call));
}

/**
 * Deletes a text with all its passages.
 * @throws {ApiError} like {@link readText}.
 */
export async function deleteText(id: string, call: Call): Promise<void> {
  await request(pathOf(id), call, { method: "DELETE" });
}

/**
 * A part of the sources, ordered by name.
 * @throws {ApiError} like {@link listTexts}.
 */
export async function listSources(cursor: string | undefined, call: Call): Promise<Page<Source>> {
  const reply = asObject(await request(withParameters("/api/sources", { limit: SOURCES_PER_PAGE, cursor }), call));
  const sources = asList(reply.sources, (value) => {
    const { source, concepts } = asObject(value);
    if (typeof source !== "string" || typeof concepts !== "number") throw unexpectedResponse();
    return { source, passages: concepts };
  });
  return page(sources, reply);
}

/**
 * Deletes everything from `source` and returns the number of deleted passages.
 * @throws {ApiError} like {@link listTexts}.
 */
export async function deleteSource(source: string, call: Call): Promise<number> {
  const { deleted } = asObject(await request(withParameters("/api/concepts", { source }), call, { method: "DELETE" }));
  if (typeof deleted !== "number") throw unexpectedResponse();
  return deleted;
}

function pathOf(id: string): string {
  return `/api/concepts/${encodeURIComponent(id)}`;
}

function page<T>(items: T[], reply: Record<string, unknown>): Page<T> {
  return { items, ...texts(reply, "next") };
}

function asStoredText(value: unknown): StoredText {
  const fields = asObject(value);
  const { id, text, passages } = fields;
  if (typeof id !== "string" || typeof text !== "string") throw unexpectedResponse();
  return { id, text, ...texts(fields, "source", "title"), ...(typeof passages === "number" && { passages }) };
}
