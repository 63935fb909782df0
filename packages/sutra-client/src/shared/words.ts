const NUMBER = new Intl.NumberFormat("en");
const UNITS = ["bytes", "kB", "MB", "GB"];

/** A count with its noun, such as `1 text` or `1,250 texts`. */
export function countOf(count: number, noun: string): string {
  return `${NUMBER.format(count)} ${count === 1 ? noun : `${noun}s`}`;
}

/** A size in bytes for people. */
export function sizeOf(bytes: number): string {
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const rounded = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 }).format(bytes / 1000 ** power);
  return `${rounded} ${UNITS[power]}`;
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
