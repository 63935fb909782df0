const UNITS = ["B", "kB", "MB", "GB", "TB"];

/** A size with three digits and a decimal unit, like Docker: `14.3 MB`. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${UNITS[unit]}`;
}

/** An integer with thousands separators. */
export function count(value: number): string {
  return value.toLocaleString("en");
}

/** A duration in milliseconds: `13 ms`, `2.0 s`. */
export function duration(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** A time span in seconds, rounded: `10 min`, `4 h`. */
export function span(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${Number((seconds / 3600).toFixed(1))} h`;
}

/** A timestamp in local time; invalid ones are returned unchanged. */
export function localTime(text: string): string {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return text;
  const today = time.toDateString() === new Date().toDateString();
  return today ? time.toLocaleTimeString() : time.toLocaleString();
}

/** Capitalizes the first letter. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A field name as words: `bytes_on_disk` becomes `bytes on disk`. */
export function words(name: string): string {
  return name.replaceAll("_", " ");
}
