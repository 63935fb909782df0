import type { Metrics, Quantile } from "../api/types";
import { bytes, count, duration, sentence, span, words } from "../shared/format";

/** A number of the metrics, as shown. */
export interface Figure {
  name: string;
  value: string;
}

/** The numbers of a service's metrics. */
export function figures(metrics: Metrics): Figure[] {
  const { memory_bytes: memory, vector_bytes: used, vector_bytes_limit: limit, ...others } = metrics.gauges ?? {};
  const { requests, errors, p50, p95, cpu_percent: cpu } = metrics;
  const found: Figure[] = [];
  if (requests !== null) found.push({ name: "Requests", value: count(requests) });
  if (requests !== null && errors !== null) {
    found.push({ name: "Errors (5xx)", value: requests === 0 ? "–" : share(errors, requests) });
  }
  if (p50 !== null) found.push({ name: "Latency p50", value: latency(p50) });
  if (p95 !== null) found.push({ name: "Latency p95", value: latency(p95) });
  if (cpu !== null) found.push({ name: "CPU (of a core)", value: `${cpu} %` });
  if (memory !== undefined) found.push({ name: "Memory", value: bytes(memory) });
  for (const [name, value] of Object.entries(others)) found.push({ name: sentence(words(name)), value: count(value) });
  if (used !== undefined) {
    const value = limit === undefined ? bytes(used) : `${bytes(used)} of ${bytes(limit)}`;
    found.push({ name: "Vector memory", value });
  }
  return found;
}

/** What the figures cover: the last minute or so, and who counted. */
export function coverage({ reason, seconds, source }: Metrics): string {
  if (reason) return "No metrics";
  const time = seconds === null ? "Metrics: measuring" : `Metrics, last ${span(seconds)}`;
  return source === null ? time : `${time}, counted by ${source}`;
}

function share(errors: number, requests: number): string {
  if (errors === 0) return "0 %";
  const percent = (errors / requests) * 100;
  return percent < 0.1 ? "< 0.1 %" : `${Number(percent.toFixed(1))} %`;
}

function latency({ ms, above }: Quantile): string {
  return above ? `> ${duration(ms)}` : duration(ms);
}
