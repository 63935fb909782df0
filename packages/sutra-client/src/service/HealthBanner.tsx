import type { Health } from "../api/sutra";

interface Props {
  health: Health | undefined;
  /** Whether it is well again after it was not. */
  isBack: boolean;
}

/** Says so when the service cannot answer, and when it can again; silent and empty while all is well. */
export function HealthBanner({ health, isBack }: Props) {
  const { words, tone } = tell(health, isBack);
  // The region itself always stands, or assistive technology would miss the first message.
  return <div role="status">{words && <p className={`notice ${tone}`}>{words}</p>}</div>;
}

function tell(health: Health | undefined, isBack: boolean): { words?: string; tone?: "bad" | "wait" | "good" } {
  switch (health?.state) {
    case "down":
      return {
        words: "Sutra is not answering. You can go on writing; this page keeps looking and says when it is back.",
        tone: "bad",
      };
    case "starting":
      return { words: "Sutra is starting. It will answer in a moment.", tone: "wait" };
    case "partly":
      return {
        words: `A part of Sutra is not well: ${health.missing.join(", ")}. Questions and texts may be refused; this page keeps looking and says when it is back.`,
        tone: "wait",
      };
    default:
      return isBack ? { words: "Sutra is answering again.", tone: "good" } : {};
  }
}
