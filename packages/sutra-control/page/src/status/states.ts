import type { State } from "../api/types";

/** The colour of a state: green, amber or red. Each state also has its own label. */
export type Tone = "good" | "wait" | "bad";

const STATES: Record<State, { label: string; tone: Tone }> = {
  ok: { label: "up", tone: "good" },
  starting: { label: "starting", tone: "wait" },
  stopping: { label: "stopping", tone: "wait" },
  not_ready: { label: "not ready", tone: "bad" },
  failed: { label: "failed", tone: "bad" },
  unreachable: { label: "unreachable", tone: "bad" },
  timeout: { label: "timeout", tone: "bad" },
  mistaken: { label: "wrong service", tone: "bad" },
  unknown: { label: "unknown", tone: "wait" },
};

/** The label and tone of the state of a service or dependency; an unknown state is its own label. */
export function stateOf(state: string): { label: string; tone: Tone } {
  return STATES[state as State] ?? { label: state, tone: "wait" };
}

/** The tone of the state of an ingest job; its label is the state itself. */
export function jobTone(state: string): Tone {
  if (state === "done") return "good";
  return state === "failed" ? "bad" : "wait";
}
