/** How a service is; everything but `ok` means that it cannot be relied on. */
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

/** One service, as it was seen. */
export interface Service {
  name: string;
  /** What it is there for, in a few words. */
  does: string;
  url: string;
  state: State;
  /** Why it is not ok; empty when it is. */
  reason: string;
  /** Milliseconds its health report took; null without an answer. */
  ms: number | null;
  version: string | null;
  edition: string | null;
  /** What it says of the services it depends on. */
  dependencies: Record<string, string>;
  limits: Record<string, number>;
  /** In how many of the samples kept it was ok. */
  availability: { up: number; of: number };
}

/** One ingest job, as far as the ingester tells. */
export interface Job {
  id: string;
  state?: string;
  /** Why it failed, or what it waits for. */
  reason?: string;
  bytes_total?: number;
  bytes_done?: number;
  lines_read?: number;
  /** Texts that are learned. */
  taught?: number;
  /** Lines that could not be. */
  bad?: number;
  created_at?: string;
}

/** One image on the record that `deploy` wrote. */
export interface Image {
  service: string;
  image: string;
  bytes: number;
  edition: string;
  variant: string;
}

/** Everything the dashboard shows. */
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

/** The slowest response time in ms (null if it never was ok) and the share of samples in which it was ok. */
export type Point = [ms: number | null, up: number];

/** How the services were, the oldest point first. */
export interface History {
  sample_every_s: number;
  samples: number;
  services: Record<string, Point[]>;
}

/** Who is signed in. */
export interface Who {
  operator: string | null;
  /** Why nobody can sign in; mostly empty. */
  reason: string;
}
