import { span } from "../shared/format";

/** Samples that can be chosen from, as far as the edition keeps so many. */
const CHOICES = [60, 360, 1440];

interface Props {
  /** The most samples there are. */
  most: number;
  /** Seconds between two samples. */
  every: number;
  chosen: number;
  onChoose(samples: number): void;
}

/** How far back response times are shown. */
export function SpanPicker({ most, every, chosen, onChoose }: Props) {
  return (
    <label className="choice">
      Response times of the last
      <select value={Math.min(chosen, most)} onChange={(event) => onChoose(Number(event.target.value))}>
        {CHOICES.filter((samples) => samples <= most).map((samples) => (
          <option key={samples} value={samples}>
            {span(samples * every)}
          </option>
        ))}
      </select>
    </label>
  );
}
