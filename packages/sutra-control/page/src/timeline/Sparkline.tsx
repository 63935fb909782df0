import type { Point } from "../api/types";
import { duration, span } from "../shared/format";

/** Units of the drawing, which is stretched to the available width. */
const WIDTH = 60;
const HEIGHT = 20;

interface Props {
  /** Oldest first. */
  points: Point[];
  /** Maximum time span, in seconds. */
  seconds: number;
}

/** Response times as bars, newest at the right. Bars of outages have full height and are red. */
export function Sparkline({ points, seconds }: Props) {
  const slowest = Math.max(0, ...points.map(([ms]) => ms ?? 0));
  const before = WIDTH - points.length;
  return (
    <figure className="sparkline">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={describe(points, slowest)}
      >
        <rect className="spark-ground" x={0} y={HEIGHT - 0.5} width={WIDTH} height={0.5} />
        {points.map(([ms, up], index) => {
          const height = ms === null ? HEIGHT : Math.max(1, (ms / (slowest || 1)) * HEIGHT);
          const left = before + index;
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: points have no identity other than their index.
            <g key={index}>
              <rect className="spark-up" x={left} y={HEIGHT - height} width={0.8} height={up > 0 ? height : 0} />
              <rect className="spark-down" x={left} y={0} width={0.8} height={HEIGHT * (1 - up)} />
            </g>
          );
        })}
      </svg>
      <figcaption className="hint">
        <span>last {span(seconds)}</span>
        <span>{slowest > 0 ? `slowest ${duration(slowest)}` : "no response yet"}</span>
      </figcaption>
    </figure>
  );
}

function describe(points: Point[], slowest: number): string {
  if (points.length === 0) return "No response times yet.";
  const outages = points.filter(([, up]) => up < 1).length;
  const times = slowest > 0 ? `Response times up to ${duration(slowest)}` : "No responses";
  return `${times}; ${outages === 0 ? "no outages" : `outages in ${outages} of ${points.length} intervals`}.`;
}
