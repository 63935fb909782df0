import type { State } from "../api/types";

/** How a state looks: green, amber or red. Each state also has a word of its own. */
export type Tone = "good" | "wait" | "bad";

const STATES: Record<State, { word: string; tone: Tone }> = {
  ok: { word: "up", tone: "good" },
  starting: { word: "starting", tone: "wait" },
  stopping: { word: "stopping", tone: "wait" },
  not_ready: { word: "not ready", tone: "bad" },
  failed: { word: "failed", tone: "bad" },
  unreachable: { word: "unreachable", tone: "bad" },
  timeout: { word: "no answer in time", tone: "bad" },
  mistaken: { word: "wrong service", tone: "bad" },
  unknown: { word: "not known yet", tone: "wait" },
};

/** The word and the tone of a service's or a dependency's state; a state this page does not know keeps its own word. */
export function stateOf(state: string): { word: string; tone: Tone } {
  return STATES[state as State] ?? { word: state, tone: "wait" };
}

/** The tone of an ingest job's state; the words are the ingester's. */
export function jobTone(state: string): Tone {
  if (state === "done") return "good";
  return state === "failed" ? "bad" : "wait";
}
