import type { Health } from "../api/sutra";

const WORDS: Partial<Record<Health, string>> = {
  starting: "Sutra is starting. It will answer in a moment.",
  down: "Sutra is not answering. You can go on writing; this page keeps looking and says when it is back.",
};

/** Says so when the service cannot answer; silent and empty while it can. */
export function HealthBanner({ health }: { health: Health | undefined }) {
  const words = health && WORDS[health];
  // The region itself always stands, or assistive technology would miss the first message.
  return <div role="status">{words && <p className={`notice ${health === "down" ? "bad" : "wait"}`}>{words}</p>}</div>;
}
