import { act, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import { kindOf } from "../src/files/kinds";
import { saveKey } from "../src/key/store";
import { Knowledge } from "./knowledge";
import { never, refusal, type SentRequest, sentTo, serve } from "./service";

/** Poll interval of a job in milliseconds. */
const LOOK = 2_000;

beforeEach(() => {
  vi.useFakeTimers();
  saveKey("secret-key", "tab");
  window.history.replaceState(null, "", "/teach");
});
afterEach(() => {
  vi.useRealTimers();
});

/** Lets `time` milliseconds pass in steps, and all that follows from each. */
async function pass(time = 0) {
  await act(() => vi.advanceTimersByTimeAsync(0));
  for (let step = 0; step < time; step += 500) await act(() => vi.advanceTimersByTimeAsync(500));
}

const jsonl = (name: string, ...lines: string[]) => new File([lines.join("\n")], name);
const rows = () => within(screen.getByRole("list", { name: "Files" })).getAllByRole("listitem");
const row = (index: number) => within(rows()[index] ?? document.body);
const looks = (seen: SentRequest[]) => seen.filter(({ path }) => path.startsWith("/api/jobs/")).length;
const sources = (all: Knowledge) => [...all.texts.values()].map(({ text, source }) => [text, source]);

async function choose(...files: File[]) {
  render(<App />);
  fireEvent.change(screen.getByLabelText("Choose files or drop them here"), { target: { files } });
  // Reading a file takes a few turns of the event loop.
  for (let turn = 0; turn < 5; turn += 1) await pass();
}

describe("a data file", () => {
  it("is uploaded as it is, with its name as the source, and followed to its end", async () => {
    const all = new Knowledge();
    const seen = serve({}, all);
    const file = jsonl("facts.jsonl", '{"text":"One."}', '{"text":"Two.","source":"own"}');
    await choose(file);
    expect(sentTo(seen, "/api/jobs")).toMatchObject([
      {
        key: "Bearer secret-key",
        type: "application/x-ndjson",
        query: { format: "jsonl", source: "facts.jsonl" },
        body: '{"text":"One."}\n{"text":"Two.","source":"own"}',
      },
    ]);
    expect(row(0).getByText(/Uploaded\. Waiting for earlier files/)).toBeVisible();
    await pass(LOOK);
    expect(row(0).getByText("Teaching…")).toBeVisible();
    expect(row(0).getByRole("progressbar")).toBeVisible();
    await pass(LOOK);
    expect(row(0).getByText("Sutra has learned 2 texts from this file.")).toBeVisible();
    expect(sources(all)).toEqual([
      ["One.", "facts.jsonl"],
      ["Two.", "own"],
    ]);
    await pass(60_000);
    expect(looks(seen)).toBe(2);
  });

  it("shows its bad lines with numbers and reasons", async () => {
    const all = new Knowledge();
    const seen = serve({}, all);
    await choose(
      new File(["text,title\nOne.,First\n"], "facts.CSV"),
      jsonl("b.jsonl", '{"text":"Two."}', "{", '{"a":1}'),
    );
    expect(sentTo(seen, "/api/jobs").map(({ type, query }) => [type, query?.format])).toEqual([
      ["text/csv", "csv"],
      ["application/x-ndjson", "jsonl"],
    ]);
    await pass(20_000);
    expect(row(0).getByText("Sutra has learned 1 text from this file.")).toBeVisible();
    expect(row(0).queryByText(/could not be taught/)).not.toBeInTheDocument();
    expect(row(1).getByText("2 lines could not be taught")).toBeVisible();
    expect(row(1).getByText(/^Line 2: /)).toBeInTheDocument();
    expect(row(1).getByText('Line 3: missing field "text"')).toBeInTheDocument();
  });

  it("says why it waits, why it failed, and how many bad lines are not listed", async () => {
    const job = { id: "j", bytes_total: 100, bytes_done: 50, taught: 7, bad: 250 };
    const bad_lines = Array.from({ length: 100 }, (_, index) => ({ line: index + 1, reason: "blank" }));
    const states = [
      { ...job, state: "waiting", reason: "hybrid is unreachable", bad_lines },
      { ...job, state: "failed", reason: "unclosed quote in line 260", bad_lines },
    ];
    serve({
      "/api/jobs": { status: 202, body: { id: "j", state: "queued" } },
      "/api/jobs/j": () => ({ body: states.shift() }),
    });
    await choose(jsonl("a.jsonl", "x"));
    await pass(LOOK);
    expect(row(0).getByText(/7 texts learned so far.*Waiting: hybrid is unreachable/)).toBeVisible();
    await pass(LOOK);
    expect(row(0).getByText(/unclosed quote in line 260/)).toBeVisible();
    expect(row(0).getByText("250 lines could not be taught")).toBeVisible();
    expect(row(0).getByText("Only the first 100 are listed.")).toBeInTheDocument();
  });

  it("keeps looking while its progress cannot be read, as often as it may", async () => {
    const replies = [
      refusal(502, "api_unreachable", "down"),
      refusal(429, "too_many_requests", "slow", { "Retry-After": "9" }),
    ];
    const seen = serve({ "/api/jobs/job-1": () => replies.shift() });
    await choose(jsonl("a.jsonl", '{"text":"One."}'));
    await pass(LOOK);
    expect(row(0).getByText(/This page keeps trying/)).toBeVisible();
    await pass(LOOK);
    await pass(8_000);
    expect(looks(seen)).toBe(2);
    await pass(1_000 + LOOK);
    expect(row(0).getByText("Sutra has learned 1 text from this file.")).toBeVisible();
    expect(row(0).queryByText(/This page keeps trying/)).not.toBeInTheDocument();
  });

  it("can be stopped while it is sent, and sent again", async () => {
    let isSlow = true;
    const seen = serve({ "/api/jobs": () => (isSlow ? never : undefined) });
    await choose(jsonl("a.jsonl", '{"text":"One."}'), jsonl("b.jsonl", '{"text":"Two."}'));
    expect(row(0).getByText("Uploading…")).toBeVisible();
    expect(row(1).getByText("Waiting for earlier files.")).toBeVisible();
    expect(sentTo(seen, "/api/jobs")).toHaveLength(1);
    isSlow = false;
    fireEvent.click(row(0).getByRole("button", { name: "Stop uploading a.jsonl" }));
    await pass();
    expect(row(0).getByText(/Nothing from this file was kept/)).toBeVisible();
    expect(sentTo(seen, "/api/jobs")).toHaveLength(2);
    fireEvent.click(row(0).getByRole("button", { name: "Upload a.jsonl again" }));
    await pass(30_000);
    expect(row(0).getByText("Sutra has learned 1 text from this file.")).toBeVisible();
    expect(row(1).getByText("Sutra has learned 1 text from this file.")).toBeVisible();
  });

  it("is refused with the service's reason", async () => {
    serve();
    await choose(new File(["body\nOne.\n"], "facts.csv"));
    expect(row(0).getByRole("alert")).toHaveTextContent(/the csv header has no column "text"/i);
  });
});

describe("a text file", () => {
  it("is taught as a whole with its name as the source", async () => {
    const all = new Knowledge();
    const seen = serve({}, all);
    await choose(new File(["# Notes\n\nFirst.\n\nSecond.\n"], "notes.md"));
    expect(row(0).getByText("Sutra has learned 1 text.")).toBeVisible();
    expect(sources(all)).toEqual([["# Notes\n\nFirst.\n\nSecond.", "notes.md"]]);
    expect(sentTo(seen, "/api/jobs")).toEqual([]);
  });

  it("is cut only where the service accepts no longer text", async () => {
    const all = new Knowledge({ max_text_characters: 1_000 });
    serve({}, all);
    const paragraphs = Array.from({ length: 30 }, (_, index) => `Paragraph ${index} ${"x".repeat(80)}`);
    await choose(new File([paragraphs.join("\n\n")], "book.txt"));
    const texts = [...all.texts.values()];
    expect(texts.length).toBe(3);
    expect(texts.map(({ text }) => text).join("\n\n")).toBe(paragraphs.join("\n\n"));
    expect(new Set(texts.map(({ source }) => source))).toEqual(new Set(["book.txt"]));
  });

  it.each([
    ["that is not UTF-8", new Uint8Array([0x66, 0xfc, 0x72]), "not UTF-8"],
    ["that is blank", new TextEncoder().encode(" \n"), "empty"],
  ])("%s is refused", async (_, bytes, reason) => {
    const seen = serve();
    await choose(new File([bytes], "notes.txt"));
    expect(row(0).getByRole("alert")).toHaveTextContent(reason);
    expect(sentTo(seen, "/api/learn")).toEqual([]);
  });
});

describe("files", () => {
  it("can be dropped", async () => {
    const all = new Knowledge();
    serve({}, all);
    render(<App />);
    const place = screen.getByLabelText("Choose files or drop them here").parentElement;
    if (!place) throw new Error("expected a place to drop files");
    fireEvent.drop(place, { dataTransfer: { files: [new File(["A note."], "notes.txt")] } });
    for (let turn = 0; turn < 5; turn += 1) await pass();
    expect(sources(all)).toEqual([["A note.", "notes.txt"]]);
  });

  it("of another kind are refused without stopping those after them", async () => {
    const all = new Knowledge();
    serve({}, all);
    await choose(new File(["x"], "picture.png"), new File(["A note."], "notes.txt"));
    expect(row(0).getByRole("alert")).toHaveTextContent("This file type is not supported");
    expect(row(1).getByText("Sutra has learned 1 text.")).toBeVisible();
  });

  it("need a key", async () => {
    sessionStorage.clear();
    const seen = serve();
    await choose(new File(["A note."], "notes.txt"));
    await vi.waitFor(() => expect(screen.getByLabelText("API key")).toHaveFocus());
    expect(seen.every(({ path }) => path === "/api/health")).toBe(true);
  });

  it.each([
    ["a.jsonl", { job: "jsonl" }],
    ["a.b.NDJSON", { job: "jsonl" }],
    ["a.csv", { job: "csv" }],
    ["a.md", "texts"],
    ["a.txt", "texts"],
    ["csv", undefined],
    ["a.pdf", undefined],
    ["a.constructor", undefined],
  ])("have a kind by their name: %s", (name, kind) => {
    expect(kindOf(name)).toEqual(kind);
  });
});
