import type { Tone } from "./states";

/** A state as a word on its colour; the dot before it has a form of its own for each tone. */
export function Pill({ tone, children }: { tone: Tone; children: string }) {
  return <span className={`pill ${tone}`}>{children}</span>;
}
