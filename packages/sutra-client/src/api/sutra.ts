import { asList, asObject, type Call, request, texts, unexpectedResponse } from "./request";
import type { Answer, Citation, Learned, Limits, Topic } from "./types";

/** The health of the api service. */
export interface Health {
  /** `partly`: up, but a dependency is not. */
  state: "up" | "partly" | "starting" | "down";
  /** Dependencies that are known to be unavailable. */
  unavailable: string[];
}

/**
 * Asks a question. The answer has at most `limit` citations.
 * @throws {ApiError} if the request fails; an `AbortError` if `signal` is aborted.
 */
export async function ask(question: string, limit: number, call: Call): Promise<Answer> {
  const reply = asObject(await request("/api/query", call, { json: JSON.stringify({ question, limit }) }));
  if (typeof reply.answer !== "string") throw unexpectedResponse();
  return {
    answer: reply.answer,
    citations: asList(reply.citations, asCitation),
    ...texts(reply, "mode", "corrected"),
  };
}

/**
 * Teaches the texts in `body`, which is JSON within the limits of the service.
 * @throws {ApiError} like {@link ask}.
 */
export async function teach(body: string, call: Call): Promise<Learned> {
  const { learned, ids } = asObject(await request("/api/learn", call, { json: body }));
  if (typeof learned !== "number" || !Array.isArray(ids)) throw unexpectedResponse();
  return { learned, ids: ids.map(String) };
}

/**
 * The limits of one request to teach.
 * @throws {ApiError} like {@link ask}.
 */
export async function readLimits(call: Call): Promise<Limits> {
  const { max_texts, max_text_characters, max_body_bytes } = asObject(
    asObject(await request("/api/stats", call)).limits,
  );
  if (!isPositive(max_texts) || !isPositive(max_text_characters) || !isPositive(max_body_bytes)) {
    throw unexpectedResponse();
  }
  return { max_texts, max_text_characters, max_body_bytes };
}

/**
 * Topics of the texts that match `question`, largest first.
 * @throws {ApiError} like {@link ask}.
 */
export async function findTopics(question: string, call: Call): Promise<Topic[]> {
  const { topics } = asObject(await request("/api/topics", call, { json: JSON.stringify({ question }) }));
  return asList(topics, (topic) => {
    const { terms, concepts } = asObject(topic);
    return { terms: asList(terms, String), texts: asList(concepts, asFoundText) };
  });
}

/**
 * What this edition can do.
 * @throws {ApiError} like {@link ask}.
 */
export async function readCapabilities(call: Call): Promise<string[]> {
  return asList(asObject(await request("/api/capabilities", call)).capabilities, String);
}

/**
 * Resolves if the service accepts the key.
 * @throws {ApiError} with status 401 or 403 if it does not.
 */
export async function checkKey(call: Call): Promise<void> {
  await request("/api/stats", call);
}

/** Reads the health of the api service; never throws. */
export async function health(signal: AbortSignal): Promise<Health> {
  try {
    const response = await fetch("/api/health", { signal, cache: "no-store" });
    const { status, dependencies } = asObject(await response.json());
    if (!response.ok) return { state: status === "starting" ? "starting" : "down", unavailable: [] };
    const unavailable = Object.entries(asObject(dependencies))
      .filter(([, state]) => state !== "ok" && state !== "unknown")
      .map(([name]) => name);
    return { state: unavailable.length > 0 ? "partly" : "up", unavailable };
  } catch {
    return { state: "down", unavailable: [] };
  }
}

function asCitation(value: unknown, index: number): Citation {
  const fields = asObject(value);
  const { score, number } = fields;
  if (typeof score !== "number") throw unexpectedResponse();
  return { ...asFoundText(value), score, number: typeof number === "number" ? number : index + 1 };
}

function asFoundText(value: unknown) {
  const fields = asObject(value);
  if (typeof fields.text !== "string") throw unexpectedResponse();
  return { id: String(fields.id), text: fields.text, ...texts(fields, "source", "title") };
}

function isPositive(value: unknown): value is number {
  return typeof value === "number" && value > 0;
}
