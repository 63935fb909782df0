/** The state of a service; only `ok` is up. */
export type State =
  | "ok"
  | "starting"
  | "stopping"
  | "not_ready"
  | "failed"
  | "unreachable"
  | "timeout"
  | "mistaken"
  | "unknown";

/** A service and the result of the last check. */
export interface Service {
  name: string;
  /** Short description. */
  does: string;
  url: string;
  state: State;
  /** Why it is not ok; otherwise empty. */
  reason: string;
  /** Response time of `/health` in milliseconds; null without a response. */
  ms: number | null;
  version: string | null;
  edition: string | null;
  /** The states of its dependencies, as it reports them. */
  dependencies: Record<string, string>;
  limits: Record<string, number>;
  /** Number of ok samples, of all samples kept. */
  availability: { up: number; of: number };
  metrics: Metrics;
}

/** A response time; `above`: it is longer than `ms`, the last bound of the histogram. */
export interface Quantile {
  ms: number;
  above: boolean;
}

/** What the metrics of a service say; null if unknown. */
export interface Metrics {
  /** Why there are none; otherwise empty. */
  reason: string;
  /** The service that counted the requests, if it is another one. */
  source: string | null;
  /** The time that requests, errors, response times and CPU use cover. */
  seconds: number | null;
  requests: number | null;
  /** Requests answered with a 5xx status. */
  errors: number | null;
  p50: Quantile | null;
  p95: Quantile | null;
  /** Percentage of one core. */
  cpu_percent: number | null;
  /** Current values, such as `memory_bytes`. */
  gauges: Record<string, number> | null;
}

/** An ingest job; fields are optional because they come from the ingester. */
export interface Job {
  id: string;
  state?: string;
  /** Why it failed or is waiting. */
  reason?: string;
  bytes_total?: number;
  bytes_done?: number;
  lines_read?: number;
  /** Number of learned texts. */
  taught?: number;
  /** Number of bad lines. */
  bad?: number;
  /** jsonl or csv. */
  format?: string;
  created_at?: string;
  ended_at?: string;
}

/** Jobs, newest first. */
export interface JobsPage {
  jobs: Job[];
  /** Cursor of the next page. */
  next: string | null;
  /** There are older jobs, or, without a cursor, there may be. */
  more: boolean;
}

/** A line that was not taught. */
export interface BadLine {
  line: number;
  reason: string;
}

/** A taught text. */
export interface Concept {
  id: string;
  /** In a list, of a long text only the first passage. */
  text: string;
  source?: string;
  title?: string;
  metadata?: Record<string, unknown>;
  /** Number of passages, if there are several. */
  passages?: number;
}

/** Texts and the cursor of the next page. */
export interface ConceptsPage {
  concepts: Concept[];
  next: string | null;
}

/** A source and the number of its concepts. */
export interface Source {
  source: string;
  concepts: number;
}

/** What an import has done. */
export interface Imported {
  lines: number;
  created: number;
  updated: number;
}

/** What a new password needs. */
export interface PasswordRules {
  /** Why passwords cannot be changed; usually empty. */
  reason: string;
  min_characters: number;
  min_different: number;
}

/** An image in the record written by `deploy`. */
export interface Image {
  service: string;
  image: string;
  bytes: number;
  edition: string;
  variant: string;
}

/** The data of the dashboard. */
export interface Status {
  checked_at: string;
  version: string;
  edition: string;
  capabilities: string[];
  limits: { history_samples: number };
  sample_every_s: number;
  /** Names of the services that are not ok. */
  down: string[];
  services: Service[];
  concepts: { reason: string; numbers: Record<string, number> };
  jobs: { reason: string; jobs: Job[]; more: boolean };
  images: { state: "ok" | "absent" | "malformed"; reason: string; images: Image[] };
}

/** The slowest response time in ms (null if never ok) and the share of ok samples. */
export type Point = [ms: number | null, up: number];

/** The history of the services, oldest point first. */
export interface History {
  sample_every_s: number;
  samples: number;
  services: Record<string, Point[]>;
}

/** The signed-in operator. */
export interface Who {
  operator: string | null;
  /** Why sign-in is impossible; usually empty. */
  reason: string;
}
