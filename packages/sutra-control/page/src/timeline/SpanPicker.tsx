import { span } from "../shared/format";

/** Available numbers of samples, up to the limit of the edition. */
const CHOICES = [60, 360, 1440];

interface Props {
  /** Maximum number of samples. */
  max: number;
  /** Seconds between samples. */
  interval: number;
  selected: number;
  onSelect(samples: number): void;
}

/** Selects the time span of the response times. */
export function SpanPicker({ max, interval, selected, onSelect }: Props) {
  return (
    <label className="choice">
      Response times for the last
      <select value={Math.min(selected, max)} onChange={(event) => onSelect(Number(event.target.value))}>
        {CHOICES.filter((samples) => samples <= max).map((samples) => (
          <option key={samples} value={samples}>
            {span(samples * interval)}
          </option>
        ))}
      </select>
    </label>
  );
}
