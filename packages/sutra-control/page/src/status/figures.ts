import type { Metrics, Quantile } from "../api/types";
import { bytes, count, duration, sentence, span, words } from "../shared/format";

/** A number of the metrics, as shown. */
export interface Figure {
  name: string;
  value: string;
}

/** The numbers of a service's metrics. */
export function figures(metrics: Metrics): Figure[] {
  if (metrics.reason) return [];
  const { memory_bytes: memory, vector_bytes: used, vector_bytes_limit: limit, ...others } = metrics.gauges ?? {};
  const found = rates(metrics);
  if (metrics.p50 && metrics.p95) {
    found.push({ name: "Latency p50, p95", value: `${latency(metrics.p50)}, ${latency(metrics.p95)}` });
  }
  if (metrics.cpu_percent !== null) found.push({ name: "CPU", value: `${metrics.cpu_percent} % of a core` });
  if (memory !== undefined) found.push({ name: "Memory", value: bytes(memory) });
  for (const [name, value] of Object.entries(others)) found.push({ name: sentence(words(name)), value: count(value) });
  if (used !== undefined) {
    found.push({
      name: "Vector memory",
      value: limit === undefined ? bytes(used) : `${bytes(used)} of ${bytes(limit)}`,
    });
  }
  return found;
}

function rates({ requests, errors, seconds, source }: Metrics): Figure[] {
  const by = source === null ? "" : `, counted by ${source}`;
  if (requests === null || errors === null || seconds === null) return [{ name: "Requests", value: `measuring${by}` }];
  return [
    { name: "Requests", value: `${count(requests)} in ${span(seconds)}${by}` },
    { name: "Errors (5xx)", value: requests === 0 ? "–" : share(errors, requests) },
  ];
}

function share(errors: number, requests: number): string {
  if (errors === 0) return "0 %";
  const percent = (errors / requests) * 100;
  return percent < 0.1 ? "< 0.1 %" : `${Number(percent.toFixed(1))} %`;
}

function latency({ ms, above }: Quantile): string {
  return above ? `> ${duration(ms)}` : duration(ms);
}
