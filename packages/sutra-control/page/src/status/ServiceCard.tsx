import { useId } from "react";
import type { History, Image, Service } from "../api/types";
import { bytes, count, duration, words } from "../shared/format";
import { Sparkline } from "../timeline/Sparkline";
import { Pill } from "./Pill";
import { stateOf } from "./states";

interface Props {
  service: Service;
  /** Its image, where `deploy` handed a record over. */
  image: Image | undefined;
  /** Response times, where the edition keeps them. */
  history: History | undefined;
}

/** One service: how it is, and what else it says of itself. */
export function ServiceCard({ service, image, history }: Props) {
  const id = useId();
  const { word, tone } = stateOf(service.state);
  const points = history?.services[service.name];
  return (
    <article className={`card service ${tone}-edge`} aria-labelledby={id}>
      <div className="service-head">
        <h2 id={id}>{service.name}</h2>
        <Pill tone={tone}>{word}</Pill>
      </div>
      <p className="hint">{service.does}</p>
      <dl className="facts">
        <Fact name="Answers in" value={service.ms === null ? "no answer" : duration(service.ms)} />
        <Fact name="Was up" value={availability(service)} />
        <Fact name="Version" value={service.version ?? "not known"} />
        <Fact name="Edition" value={service.edition ?? "not known"} />
        {image && <Fact name="Image" value={bytes(image.bytes)} />}
      </dl>
      {history && points && <Sparkline points={points} seconds={history.samples * history.sample_every_s} />}
      <Dependencies states={service.dependencies} />
      <details>
        <summary>
          Address and limits<span className="visually-hidden"> of {service.name}</span>
        </summary>
        <dl className="facts wide">
          <Fact name="Asked at" value={service.url} />
          {Object.entries(service.limits).map(([name, limit]) => (
            <Fact key={name} name={words(name)} value={count(limit)} />
          ))}
        </dl>
        {Object.keys(service.limits).length === 0 && <p className="hint">It names no limits.</p>}
      </details>
    </article>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Dependencies({ states }: { states: Record<string, string> }) {
  const entries = Object.entries(states);
  if (entries.length === 0) return null;
  return (
    <div className="dependencies">
      <p className="hint">It says of those it depends on:</p>
      <ul>
        {entries.map(([name, state]) => {
          const { word, tone } = stateOf(state);
          return (
            <li key={name} className={tone}>
              {name} <span className={tone === "good" ? "visually-hidden" : undefined}>{word}</span>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function availability({ availability: { up, of } }: Service): string {
  if (of === 0) return "not known yet";
  return `${up} of ${of} looks`;
}
