import type { Health } from "../api/sutra";

interface Props {
  health: Health | undefined;
  /** Whether the service has just recovered. */
  isBack: boolean;
}

/** Shows when the service is unavailable and when it has recovered. */
export function HealthBanner({ health, isBack }: Props) {
  const { text, tone } = describe(health, isBack);
  // The region is always present, or assistive technology would miss the first message.
  return <div role="status">{text && <p className={`notice ${tone}`}>{text}</p>}</div>;
}

function describe(health: Health | undefined, isBack: boolean): { text?: string; tone?: "bad" | "wait" | "good" } {
  switch (health?.state) {
    case "down":
      return {
        text: "Sutra is not responding. You can keep typing; this page keeps checking and tells you when it is back.",
        tone: "bad",
      };
    case "starting":
      return { text: "Sutra is starting and will be ready in a moment.", tone: "wait" };
    case "partly":
      return {
        text: `Some services are unavailable: ${health.unavailable.join(", ")}. Requests may fail; this page keeps checking and tells you when they are back.`,
        tone: "wait",
      };
    default:
      return isBack ? { text: "Sutra is responding again.", tone: "good" } : {};
  }
}
