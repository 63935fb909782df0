const NUMBER = new Intl.NumberFormat("en");
const ROUNDED = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const UNITS = ["kB", "MB", "GB"];

/** A count with its noun, such as `1 text` or `1,250 texts`. */
export function countOf(count: number, noun: string): string {
  return `${NUMBER.format(count)} ${count === 1 ? noun : `${noun}s`}`;
}

/** A size in bytes for people. */
export function sizeOf(bytes: number): string {
  if (bytes < 1_000) return countOf(bytes, "byte");
  const power = Math.min(UNITS.length, Math.floor(Math.log10(bytes) / 3));
  return `${ROUNDED.format(bytes / 1_000 ** power)} ${UNITS[power - 1]}`;
}

/** The beginning of `text` on one line, at most `most` characters. */
export function excerptOf(text: string, most: number): string {
  const line = text
    .slice(0, 4 * most)
    .replace(/\s+/g, " ")
    .trim();
  const characters = [...line];
  return characters.length > most ? `${characters.slice(0, most).join("").trimEnd()}…` : line;
}
