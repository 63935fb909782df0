import { type FakeResponse, refusal, type SentRequest } from "./replies";

/** A text as the service keeps it. */
export interface Kept {
  id: string;
  text: string;
  source?: string;
  title?: string;
}

interface FakeJob {
  state: string;
  lines: string[];
  format: string;
  source: string | undefined;
}

export interface Settings {
  /** Limits of a request to teach. */
  max_texts: number;
  max_text_characters: number;
  max_body_bytes: number;
  /** Characters of a passage. */
  passage: number;
  capabilities: string[];
}

const SETTINGS: Settings = {
  max_texts: 100,
  max_text_characters: 100_000,
  max_body_bytes: 1_000_000,
  passage: 1_000,
  capabilities: ["full-text-search"],
};

/** What a fake service knows. Requests are checked, limited, filtered and paged as by the real one. */
export class Knowledge {
  readonly texts = new Map<string, Kept>();
  readonly jobs = new Map<string, FakeJob>();
  readonly settings: Settings;

  constructor(settings: Partial<Settings> = {}) {
    this.settings = { ...SETTINGS, ...settings };
  }

  /** Keeps texts and returns their ids, which depend on the text only. */
  keep(...texts: (string | Omit<Kept, "id">)[]): string[] {
    return texts.map((given) => {
      const text = typeof given === "string" ? { text: given } : given;
      const known = [...this.texts.values()].find((kept) => kept.text === text.text);
      const id = known?.id ?? `id-${String(this.texts.size + 1).padStart(4, "0")}`;
      this.texts.set(id, { ...text, id });
      return id;
    });
  }

  reply(request: SentRequest): FakeResponse {
    const { path, method } = request;
    const [, , route, id] = path.split("/");
    if (path === "/api/health") return { body: { status: "ok" } };
    if (!request.key?.startsWith("Bearer ")) return refusal(401, "unauthorized", "missing API key");
    switch (`${method} ${route}${id === undefined ? "" : "/id"}`) {
      case "GET stats":
        return { body: { edition: "simple", limits: this.settings, storage: { concepts: this.texts.size } } };
      case "GET capabilities":
        return { body: { edition: "simple", capabilities: this.settings.capabilities } };
      case "POST learn":
        return this.#learn(request);
      case "POST query":
        return this.#query(request);
      case "POST topics":
        return this.#topics(request);
      case "GET concepts":
        return this.#list(request.query ?? {});
      case "DELETE concepts":
        return this.#deleteSource(request.query?.source);
      case "GET concepts/id":
        return this.#one(id ?? "", (text) => ({ body: text }));
      case "DELETE concepts/id":
        return this.#one(id ?? "", (text) => {
          this.texts.delete(text.id);
          return { body: { deleted: 1 } };
        });
      case "GET sources":
        return this.#sources(request.query ?? {});
      case "POST jobs":
        return this.#accept(request);
      case "GET jobs/id":
        return this.#job(id ?? "");
      default:
        return refusal(404, "not_found", `unknown path: ${method} ${path}`);
    }
  }

  /** The number of passages of a text. */
  passages({ text }: Kept): number {
    return Math.max(1, Math.ceil(text.length / this.settings.passage));
  }

  #learn({ body, bytes }: SentRequest): FakeResponse {
    const { max_body_bytes, max_texts, max_text_characters } = this.settings;
    if (bytes > max_body_bytes) return refusal(413, "payload_too_large", `the maximum is ${max_body_bytes} bytes`);
    const { texts } = body as { texts: (string | Omit<Kept, "id">)[] };
    if (texts.length === 0 || texts.length > max_texts) {
      return refusal(422, "beyond_limit", `body.texts: ${texts.length} texts, the maximum is ${max_texts}`);
    }
    const long = texts.findIndex((one) => [...(typeof one === "string" ? one : one.text)].length > max_text_characters);
    if (long >= 0) return refusal(422, "beyond_limit", `body.texts[${long}]: longer than ${max_text_characters}`);
    const ids = this.keep(...texts);
    return { body: { learned: new Set(ids).size, ids } };
  }

  #query({ body }: SentRequest): FakeResponse {
    const { question, limit } = body as { question: string; limit: number };
    const found = this.#matching(question).slice(0, limit);
    const citations = found.map((text, index) => ({ ...text, score: 1 / (index + 1), number: index + 1 }));
    return {
      body: { answer: found[0]?.text ?? "Sutra has not learned anything about this yet.", citations, mode: "grounded" },
    };
  }

  #topics({ body }: SentRequest): FakeResponse {
    if (!this.settings.capabilities.includes("topics")) {
      return refusal(403, "not_in_edition", "topics is not in edition simple; use community or enterprise");
    }
    const { question, limit = 50 } = body as { question: string; limit?: number };
    const found = this.#matching(question).slice(0, limit);
    const topics = new Map<string, object[]>();
    for (const text of found) {
      const term = text.text.split(" ")[0]?.toLowerCase() ?? "";
      topics.set(term, [...(topics.get(term) ?? []), { ...text, score: 1 }]);
    }
    return { body: { topics: [...topics].map(([term, concepts]) => ({ terms: [term], concepts })) } };
  }

  /** The texts with words of the question, those with most of them first. */
  #matching(question: string): Kept[] {
    const words = question.toLowerCase().match(/\w{3,}/g) ?? [];
    const shared = ({ text }: Kept) => words.filter((word) => text.toLowerCase().includes(word)).length;
    return [...this.texts.values()].filter(shared).sort((one, other) => shared(other) - shared(one));
  }

  #list({ source, ...query }: Record<string, string>): FakeResponse {
    const ids = [...this.texts.values()].filter((text) => !source || text.source === source).map(({ id }) => id);
    return page("concepts", ids, 50, query, (id) => {
      const text = this.texts.get(id) as Kept;
      const passages = this.passages(text);
      return passages > 1 ? { ...text, text: text.text.slice(0, this.settings.passage), passages } : text;
    });
  }

  #sources(query: Record<string, string>): FakeResponse {
    const names = [...this.texts.values()].flatMap(({ source }) => source ?? []);
    return page("sources", [...new Set(names)], 50, query, (source) => ({ source, concepts: this.#countOf(source) }));
  }

  #deleteSource(source: string | undefined): FakeResponse {
    if (!source) return refusal(422, "invalid_request", "query.source: missing");
    const deleted = this.#countOf(source);
    for (const text of [...this.texts.values()]) if (text.source === source) this.texts.delete(text.id);
    return { body: { deleted } };
  }

  #countOf(source: string): number {
    const texts = [...this.texts.values()].filter((text) => text.source === source);
    return texts.reduce((sum, text) => sum + this.passages(text), 0);
  }

  #one(id: string, reply: (text: Kept) => FakeResponse): FakeResponse {
    const text = this.texts.get(decodeURIComponent(id));
    return text ? reply(text) : refusal(404, "not_found", `unknown concept: ${id}`);
  }

  #accept({ body, type, query }: SentRequest): FakeResponse {
    const { format = "", source } = query ?? {};
    const expected = { jsonl: "application/x-ndjson", csv: "text/csv" }[format];
    if (type !== expected) return refusal(415, "unsupported_media_type", `${type} is not ${format}`);
    const lines = String(body ?? "").split("\n");
    if (format === "csv" && !lines[0]?.split(",").includes("text")) {
      return refusal(422, "invalid_request", 'the CSV header has no column "text"');
    }
    const id = `job-${this.jobs.size + 1}`;
    this.jobs.set(id, { state: "queued", lines, format, source });
    return { status: 202, body: this.#view(id) };
  }

  /** A job takes a step whenever it is looked at. */
  #job(id: string): FakeResponse {
    const job = this.jobs.get(id);
    if (!job) return refusal(404, "not_found", `unknown job: ${id}`);
    if (job.state === "queued") job.state = "running";
    else if (job.state === "running") {
      for (const text of this.#read(job).good) this.keep(text);
      job.state = "done";
    }
    return { body: this.#view(id) };
  }

  #view(id: string) {
    const job = this.jobs.get(id) as FakeJob;
    const bytes = job.lines.join("\n").length;
    const { good, bad } = job.state === "done" ? this.#read(job) : { good: [], bad: [] };
    return {
      ...{ id, state: job.state, reason: null, format: job.format },
      ...{ bytes_total: bytes, bytes_done: { queued: 0, running: bytes / 2 }[job.state] ?? bytes },
      ...{ taught: good.length, bad: bad.length, bad_lines: bad.slice(0, 100) },
    };
  }

  #read({ lines, format, source }: FakeJob) {
    const good: Omit<Kept, "id">[] = [];
    const bad: { line: number; reason: string }[] = [];
    const [header = "", ...rows] = lines;
    const numbered = format === "csv" ? rows.map((row, index) => [index + 2, row] as const) : [...lines.entries()];
    for (const [number, line] of numbered) {
      if (line.trim() === "") continue;
      try {
        const fields = format === "csv" ? byName(header, line) : JSON.parse(line);
        if (typeof fields.text !== "string") throw new Error('missing field "text"');
        good.push({ ...(source && { source }), ...fields });
      } catch (cause) {
        bad.push({ line: format === "csv" ? number : number + 1, reason: (cause as Error).message });
      }
    }
    return { good, bad };
  }
}

function byName(header: string, row: string): Record<string, string> {
  const cells = row.split(",");
  return Object.fromEntries(header.split(",").map((name, index) => [name, cells[index] ?? ""]));
}

/** A part of a list, ordered by name, after the cursor. */
function page(
  field: string,
  names: string[],
  standard: number,
  { limit = String(standard), cursor }: Record<string, string>,
  view: (name: string) => unknown,
): FakeResponse {
  const most = Number(limit);
  if (!(most >= 1 && most <= 200)) return refusal(422, "invalid_request", `query.limit: ${limit} is not 1 to 200`);
  if (cursor !== undefined && !cursor.startsWith("after:")) return refusal(400, "invalid_cursor", `invalid: ${cursor}`);
  const rest = names.sort().filter((name) => cursor === undefined || name > cursor.slice("after:".length));
  const shown = rest.slice(0, most);
  return { body: { [field]: shown.map(view), ...(rest.length > most && { next: `after:${shown.at(-1)}` }) } };
}
