import type { Tone } from "./states";

/** A state as a coloured label; the shape of its dot differs for each tone. */
export function Pill({ tone, children }: { tone: Tone; children: string }) {
  return <span className={`pill ${tone}`}>{children}</span>;
}
