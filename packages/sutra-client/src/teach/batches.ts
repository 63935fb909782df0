import type { Limits, Text } from "../api/types";

/** Texts for one request, and its body. */
export interface Batch {
  texts: Text[];
  body: string;
}

const OPEN = '{"texts":[';
const CLOSE = "]}";
/** The most bytes that JSON needs for one UTF-16 unit: `\u0000`. */
const MAX_BYTES_PER_UNIT = 6;
/** Where to cut a text, best first: after a paragraph, a line, a sentence or a word. */
const CUTS = [/\n\s*\n/g, /\n/g, /[.!?…。]["'”’)]*\s+/g, /\s+/g];

const ENCODER = new TextEncoder();

/** Bytes of a body with no texts. Each text adds its own size, plus a comma for all but the first. */
const EMPTY = bytesOf(OPEN + CLOSE) - 1;

/** The texts without duplicates, those that are too long for `limits` cut into several. */
export function fitted(texts: Text[], limits: Limits): Text[] {
  const unique = new Map<string, Text>();
  for (const text of texts) {
    const room = limits.max_body_bytes - EMPTY - 1 - bytesOf(jsonOf({ ...text, text: "" }));
    const most = Math.min(limits.max_text_characters, Math.floor(room / MAX_BYTES_PER_UNIT));
    for (const part of split(text.text, Math.max(1, most))) unique.set(part, { ...text, text: part });
  }
  return [...unique.values()];
}

/** Batches of `texts` in order, each as large as `limits` allow. The texts must be {@link fitted}. */
export function* batches(texts: Text[], limits: Limits): Generator<Batch> {
  let batch: Text[] = [];
  let items: string[] = [];
  let bytes = EMPTY;
  for (const text of texts) {
    const item = jsonOf(text);
    const more = bytesOf(item) + 1;
    if (batch.length > 0 && (batch.length === limits.max_texts || bytes + more > limits.max_body_bytes)) {
      yield { texts: batch, body: OPEN + items.join() + CLOSE };
      batch = [];
      items = [];
      bytes = EMPTY;
    }
    batch.push(text);
    items.push(item);
    bytes += more;
  }
  if (batch.length > 0) yield { texts: batch, body: OPEN + items.join() + CLOSE };
}

/** Parts of `text` of at most `most` UTF-16 units, cut at the best place in the second half of each. */
export function split(text: string, most: number): string[] {
  const parts: string[] = [];
  let rest = text.trim();
  while (rest.length > most) {
    const end = cut(rest, most);
    parts.push(rest.slice(0, end).trim());
    rest = rest.slice(end).trim();
  }
  return [...parts, rest].filter((part) => part !== "");
}

function cut(text: string, most: number): number {
  const head = text.slice(0, most);
  for (const pattern of CUTS) {
    const last = [...head.matchAll(pattern)].at(-1);
    const end = last ? last.index + last[0].length : 0;
    if (end > most / 2) return end;
  }
  // Not between the halves of a character, unless it alone is too long.
  const end = isHighSurrogate(head.charCodeAt(most - 1)) ? most - 1 : most;
  return Math.max(1, end);
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** A text without source and title is sent as a plain string. */
function jsonOf(text: Text): string {
  return JSON.stringify(text.source === undefined && text.title === undefined ? text.text : text);
}

function bytesOf(json: string): number {
  return ENCODER.encode(json).length;
}
