import { useEffect, useEffectEvent, useId, useState } from "react";
import { type ApiError, asApiError } from "../api/error";
import { readBadLines } from "../api/jobs";
import type { BadLine } from "../api/types";
import { count, sentence } from "../shared/format";
import { ScrollRegion } from "../shared/ScrollRegion";

interface Props {
  /** The job. */
  id: string;
  /** Number of bad lines, listed or not. */
  total: number;
  onSignedOut(): void;
}

/** The bad lines of a job, read when they are opened and when there are more. */
export function BadLines({ id, total, onSignedOut }: Props) {
  const region = useId();
  const [isOpen, setOpen] = useState(false);
  const [lines, setLines] = useState<BadLine[]>();
  const [error, setError] = useState<ApiError>();
  const signedOut = useEffectEvent(onSignedOut);

  // biome-ignore lint/correctness/useExhaustiveDependencies: more bad lines are read again.
  useEffect(() => {
    if (!isOpen) return;
    const closed = new AbortController();
    readBadLines(id, closed.signal)
      .then((found) => {
        setLines(found);
        setError(undefined);
      })
      .catch((cause) => {
        if (closed.signal.aborted) return;
        const failure = asApiError(cause);
        if (failure.isSignedOut) signedOut();
        else setError(failure);
      });
    return () => closed.abort();
  }, [isOpen, id, total]);

  const name = `${count(total)} bad ${total === 1 ? "line" : "lines"}`;
  return (
    <div className="bad-lines">
      <button
        type="button"
        className="small"
        aria-expanded={isOpen}
        aria-controls={region}
        onClick={() => setOpen(!isOpen)}
      >
        {isOpen ? "Hide" : "Show"} {name} <span className="visually-hidden">of job {id}</span>
      </button>
      <div id={region} hidden={!isOpen}>
        {error && (
          <p className="notice bad" role="alert">
            {sentence(error.message)}
          </p>
        )}
        {!lines && !error && <p className="working">Loading…</p>}
        {lines && (
          <ScrollRegion label={`Table of bad lines of job ${id}`}>
            <table>
              <thead>
                <tr>
                  <th scope="col" className="number">
                    Line
                  </th>
                  <th scope="col">Reason</th>
                </tr>
              </thead>
              <tbody>
                {lines.map(({ line, reason }, index) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: a line may be listed twice after a restart.
                  <tr key={index}>
                    <th scope="row" className="number">
                      {count(line)}
                    </th>
                    <td className="reason">{reason}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </ScrollRegion>
        )}
        {lines && lines.length < total && (
          <p className="hint">
            The ingester lists the first {count(lines.length)} of {name}.
          </p>
        )}
      </div>
    </div>
  );
}
