import { useId } from "react";
import type { History, Image, Metrics, Service } from "../api/types";
import { bytes, count, duration, words } from "../shared/format";
import { Sparkline } from "../timeline/Sparkline";
import { coverage, figures } from "./figures";
import { Pill } from "./Pill";
import { stateOf } from "./states";

interface Props {
  service: Service;
  /** Its image, if `deploy` has recorded it. */
  image: Image | undefined;
  /** Response times, if the edition records them. */
  history: History | undefined;
}

/** A service: state, response time, metrics, dependencies and limits. */
export function ServiceCard({ service, image, history }: Props) {
  const id = useId();
  const { label, tone } = stateOf(service.state);
  const points = history?.services[service.name];
  return (
    <article className={`card service ${tone}-edge`} aria-labelledby={id}>
      <div className="service-head">
        <h2 id={id}>{service.name}</h2>
        <Pill tone={tone}>{label}</Pill>
      </div>
      <p className="hint">{service.does}</p>
      <dl className="facts">
        <Fact name="Response time" value={service.ms === null ? "no response" : duration(service.ms)} />
        <Fact name="Uptime" value={uptime(service)} />
        <Fact name="Version" value={service.version ?? "unknown"} />
        <Fact name="Edition" value={service.edition ?? "unknown"} />
        {image && <Fact name="Image" value={bytes(image.bytes)} />}
      </dl>
      <Measured metrics={service.metrics} />
      {history && points && <Sparkline points={points} seconds={history.samples * history.sample_every_s} />}
      <Dependencies states={service.dependencies} />
      <details>
        <summary>
          Address and limits<span className="visually-hidden"> of {service.name}</span>
        </summary>
        <dl className="facts wide">
          <Fact name="URL" value={service.url} />
          {service.metrics.reason && <Fact name="Metrics" value={service.metrics.reason} />}
          {Object.entries(service.limits).map(([name, limit]) => (
            <Fact key={name} name={words(name)} value={count(limit)} />
          ))}
        </dl>
        {Object.keys(service.limits).length === 0 && <p className="hint">No limits reported.</p>}
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

function Measured({ metrics }: { metrics: Metrics }) {
  const found = figures(metrics);
  return (
    <div className="metrics">
      <p className="hint">{coverage(metrics)}</p>
      {found.length > 0 && (
        <dl className="facts">
          {found.map(({ name, value }) => (
            <Fact key={name} name={name} value={value} />
          ))}
        </dl>
      )}
    </div>
  );
}

function Dependencies({ states }: { states: Record<string, string> }) {
  const entries = Object.entries(states);
  if (entries.length === 0) return null;
  return (
    <div className="dependencies">
      <p className="hint">Dependencies</p>
      <ul>
        {entries.map(([name, state]) => {
          const { label, tone } = stateOf(state);
          return (
            <li key={name} className={tone}>
              {name} <span className={tone === "good" ? "visually-hidden" : undefined}>{label}</span>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function uptime({ availability: { up, of } }: Service): string {
  if (of === 0) return "unknown";
  // Rounded down, so that 100 % means always up.
  return `${Math.floor((up / of) * 100)} % (${up} of ${of} ${of === 1 ? "check" : "checks"})`;
}
