import type { Answer } from "../api/types";

/** An answered question of this visit. */
export interface Entry {
  id: number;
  question: string;
  answer: Answer;
}

const NAME = "sutra.history";
/** The most entries that are kept; the oldest go first. */
const MAX_ENTRIES = 50;

/** The stored entries of this tab, newest first. */
export function loadHistory(): Entry[] {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(NAME) ?? "[]");
    return Array.isArray(stored) ? stored.filter(isEntry) : [];
  } catch {
    return [];
  }
}

/** An id that no entry of `history` has. */
export function nextId(history: Entry[]): number {
  return 1 + Math.max(0, ...history.map(({ id }) => id));
}

/** `history` with `entry` in front. */
export function withEntry(history: Entry[], entry: Entry): Entry[] {
  return [entry, ...history].slice(0, MAX_ENTRIES);
}

/** Stores as many of the newest entries as the browser has room for. */
export function saveHistory(history: Entry[]): void {
  for (let count = history.length; count > 0; count = Math.floor(count / 2)) {
    try {
      sessionStorage.setItem(NAME, JSON.stringify(history.slice(0, count)));
      return;
    } catch {
      // Too large, or the browser blocks storage.
    }
  }
  deleteHistory();
}

/** Removes the stored entries. */
export function deleteHistory(): void {
  try {
    sessionStorage.removeItem(NAME);
  } catch {
    // A browser that blocks storage has stored nothing.
  }
}

// The storage may hold entries of another version of this page.
function isEntry(value: Partial<Entry> | null): value is Entry {
  return (
    typeof value?.id === "number" &&
    typeof value.question === "string" &&
    typeof value.answer?.answer === "string" &&
    Array.isArray(value.answer.citations)
  );
}
