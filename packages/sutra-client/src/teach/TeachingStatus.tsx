import { ErrorNotice } from "../shared/ErrorNotice";
import { Progress } from "../shared/Progress";
import { countOf, excerptOf } from "../shared/words";
import type { Teaching } from "./useTeaching";

interface Props {
  teaching: Teaching;
  /** Goes on after a stop or an error. */
  onResume(): void;
  onNeedKey(): void;
}

/** The progress and the result of teaching. */
export function TeachingStatus({ teaching, onResume, onNeedKey }: Props) {
  const stopped = teaching.state === "stopped" ? teaching : undefined;
  return (
    <>
      {stopped?.error && (
        <ErrorNotice error={stopped.error} onChangeKey={onNeedKey}>
          {stopped.rejected && <p>The rejected text starts with “{excerptOf(stopped.rejected.text, 80)}”.</p>}
        </ErrorNotice>
      )}
      <div role="status">
        {teaching.state === "running" && (
          <Progress label="Teaching…" done={teaching.sent} total={teaching.total}>
            {teaching.sent > 0 && `${teaching.sent} of ${countOf(teaching.total, "text")} saved`}
          </Progress>
        )}
        {teaching.state === "done" && (
          <p className="notice good">Sutra has learned {countOf(teaching.learned, "text")}.</p>
        )}
        {stopped && (
          <div className="notice wait">
            <p>
              {stopped.error ? "" : "Stopped. "}
              {savedOf(stopped)}
            </p>
            <button type="button" onClick={onResume}>
              {stopped.sent === 0 ? "Try again" : "Teach the rest"}
            </button>
          </div>
        )}
      </div>
    </>
  );
}

/** Texts that were being sent when it stopped may be saved, too. */
function savedOf({ sent, total }: { sent: number; total: number }): string {
  if (sent === 0) return "No texts are confirmed as saved.";
  return `${sent} of ${countOf(total, "text")} ${sent === 1 ? "is" : "are"} saved; some of the others may be, too.`;
}
