import type { Format } from "../api/jobs";

/** How a file is taught: by the service as a job, or by this page as texts. */
export type Kind = { job: Format } | "texts";

const KINDS: Record<string, Kind> = {
  jsonl: { job: "jsonl" },
  ndjson: { job: "jsonl" },
  csv: { job: "csv" },
  txt: "texts",
  md: "texts",
};

/** The suffixes of the supported files, for a file field. */
export const SUFFIXES = Object.keys(KINDS)
  .map((suffix) => `.${suffix}`)
  .join();

/** How to teach the file with that name; undefined if it is not supported. */
export function kindOf(name: string): Kind | undefined {
  const suffix = /\.([^.]+)$/.exec(name)?.[1]?.toLowerCase() ?? "";
  return Object.hasOwn(KINDS, suffix) ? KINDS[suffix] : undefined;
}
