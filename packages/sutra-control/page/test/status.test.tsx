import { act, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import { connectionError, down, type Reply, refusal, type SentRequest, serve, status, unmeasured } from "./service";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function show(reply: Reply | (() => Reply), more: Record<string, Reply> = {}): Promise<SentRequest[]> {
  const seen = serve({ "GET /api/status": reply, ...more });
  render(<App />);
  await act(() => vi.advanceTimersByTimeAsync(0));
  return seen;
}

const polls = (seen: SentRequest[]) => seen.filter(({ path }) => path === "/api/status").length;

describe("the services", () => {
  it("are all shown with their state", async () => {
    await show({ body: status() });
    expect(screen.getByText("All 8 services are up.")).toBeVisible();
    const cards = screen.getAllByRole("article");
    expect(cards).toHaveLength(8);
    for (const card of cards) expect(within(card).getByText("up")).toBeVisible();
    expect(document.title).toBe("Sutra control");
  });

  it("are listed with the reason when they are down", async () => {
    await show({ body: status({ nlg: down }) });
    expect(screen.getByText("1 of 8 services is unavailable: nlg.")).toBeVisible();
    expect(screen.getByText(/cannot reach nlg at/)).toBeVisible();
    const card = screen.getByRole("article", { name: "nlg" });
    expect(within(card).getByText("unreachable")).toBeVisible();
    expect(within(card).getByText("no response")).toBeVisible();
    expect(within(card).getByText("96 % (58 of 60 checks)")).toBeVisible();
    expect(document.title).toBe("(1) Sutra control");
  });

  it("show their dependencies and limits", async () => {
    const hybrid = { dependencies: { storage: "ok", nlg: "timeout", odd: "wobbly" }, limits: { max_texts: 1440 } };
    await show({ body: status({ hybrid }) });
    const card = screen.getByRole("article", { name: "hybrid" });
    expect(within(card).getByText("timeout")).toBeVisible();
    expect(within(card).getByText("wobbly")).toBeVisible();
    expect(within(card).getByText("max texts")).toBeInTheDocument();
    expect(within(card).getByText("1,440")).toBeInTheDocument();
  });
});

describe("polling", () => {
  it("repeats every five seconds and shows changes", async () => {
    let body = status({ nlg: down });
    const seen = await show(() => ({ body }));
    expect(polls(seen)).toBe(1);
    body = status();
    await act(() => vi.advanceTimersByTimeAsync(4_900));
    expect(polls(seen)).toBe(1);
    await act(() => vi.advanceTimersByTimeAsync(200));
    expect(polls(seen)).toBe(2);
    expect(screen.getByText("All 8 services are up.")).toBeVisible();
  });

  it("pauses while the tab is hidden and resumes at once", async () => {
    const seen = await show({ body: status() });
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    await act(() => vi.advanceTimersByTimeAsync(600_000));
    expect(polls(seen)).toBe(1);
    hidden.mockReturnValue(false);
    fireEvent(document, new Event("visibilitychange"));
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(polls(seen)).toBe(2);
  });

  it("ends on unmount", async () => {
    const seen = serve({ "GET /api/status": { body: status() } });
    const { unmount } = render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    unmount();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(polls(seen)).toBe(1);
  });

  it.each([
    ["is unreachable", connectionError, "Cannot reach control from this browser"],
    ["fails", refusal(500, "internal_error", "internal error; see the log"), "internal error"],
    ["returns an unexpected response", { body: { services: {} } }, "unexpected response"],
    ["is replaced by the HTML page of a proxy", { status: 502, body: "<html>" }, "returned status 502"],
  ])("reports that control itself %s, keeps the data, and recovers", async (_, failure, text) => {
    let reply: Reply = { body: status() };
    await show(() => reply);
    reply = failure;
    await act(() => vi.advanceTimersByTimeAsync(5_000));
    const alert = screen.getByText(/Sutra control itself is not responding/).closest("[role=alert]");
    expect(alert).toHaveTextContent(text);
    expect(alert).toHaveTextContent(/The data below is from/);
    expect(screen.getAllByRole("article")).toHaveLength(8);
    expect(screen.queryByText("All 8 services are up.")).not.toBeInTheDocument();
    reply = { body: status() };
    await act(() => vi.advanceTimersByTimeAsync(5_000));
    expect(screen.queryByText(/Sutra control itself/)).not.toBeInTheDocument();
    expect(screen.getByText("All 8 services are up.")).toBeVisible();
  });
});

describe("other cards", () => {
  it("show concepts, jobs and images", async () => {
    const jobs = [
      { id: "j-3", state: "waiting", reason: "cannot reach hybrid", bytes_total: 2000, bytes_done: 1999, bad: 3 },
      { id: "j-2", state: "done", bytes_total: 0, lines_read: 1200, taught: 900, bad: 0 },
      { id: "j-1" },
    ];
    const image = { service: "nlg", image: "sutra-nlg:1", bytes: 98_765_432, edition: "simple", variant: "optimized" };
    await show({
      body: status(
        {},
        { jobs: { reason: "", jobs, more: true }, images: { state: "ok", reason: "", images: [image, image] } },
      ),
    });
    expect(screen.getByText("12,345")).toBeVisible();
    expect(screen.getByText("4.2 MB")).toBeVisible();
    expect(screen.getByRole("row", { name: /^j-3 waiting cannot reach hybrid 99 % of 2 kB – – 3/ })).toBeVisible();
    expect(screen.getByRole("row", { name: "j-2 done 100 % of 0 B 1,200 900 0 –" })).toBeVisible();
    expect(screen.getByRole("row", { name: "j-1 unknown – – – – –" })).toBeVisible();
    expect(screen.getByRole("heading", { name: "Newest 3 ingest jobs" })).toBeVisible();
    expect(screen.getByRole("link", { name: /all jobs/ })).toHaveAttribute("href", "#/jobs");
    expect(screen.getByText("198 MB")).toBeVisible();
    expect(within(screen.getByRole("article", { name: "nlg" })).getByText("98.8 MB")).toBeVisible();
  });

  it("show what is unavailable and why", async () => {
    await show({
      body: status(
        {},
        {
          concepts: { reason: "cannot reach storage", numbers: {} },
          jobs: { reason: "cannot reach bulk-ingester", jobs: [], more: false },
          images: { state: "malformed", reason: "images.json is not a record of images", images: [] },
        },
      ),
    });
    for (const text of [/reach storage/, /reach bulk-ingester/, /not a record of images/]) {
      expect(screen.getByText(text)).toBeVisible();
    }
  });

  it("show a placeholder before the first data arrives", async () => {
    await show({ body: status() });
    expect(screen.getByText("No ingest jobs yet.")).toBeVisible();
    expect(screen.getByText("No image sizes recorded")).toBeVisible();
  });
});

describe("metrics", () => {
  const facts = (name: string) =>
    Object.fromEntries(
      within(screen.getByRole("article", { name }))
        .getAllByRole("term")
        .map((term) => [term.textContent, term.nextElementSibling?.textContent]),
    );

  it("show requests, errors, latencies, CPU and memory", async () => {
    const hybrid = {
      metrics: {
        ...unmeasured,
        seconds: 60.2,
        requests: 1234,
        errors: 37,
        p50: { ms: 8.25, above: false },
        p95: { ms: 10_000, above: true },
        cpu_percent: 12.5,
        gauges: { memory_bytes: 61_000_000 },
      },
    };
    await show({ body: status({ hybrid }) });
    expect(facts("hybrid")).toMatchObject({
      Requests: "1,234",
      "Errors (5xx)": "3 %",
      "Latency p50": "8.3 ms",
      "Latency p95": "> 10.0 s",
      "CPU (of a core)": "12.5 %",
      Memory: "61 MB",
    });
    expect(screen.getByText("Metrics, last 1 min")).toBeVisible();
  });

  it.each([
    [0, 0, "–"],
    [10, 0, "0 %"],
    [100_000, 1, "< 0.1 %"],
    [3, 1, "33.3 %"],
  ])("of %d requests with %d errors show the share %s", async (requests, errors, share) => {
    await show({ body: status({ api: { metrics: { ...unmeasured, seconds: 10, requests, errors } } }) });
    expect(facts("api")).toMatchObject({ "Errors (5xx)": share });
  });

  it("show storage's vectors and their limit", async () => {
    const gauges = { vectors: 1_000_000, vector_bytes: 396_000_000, vector_bytes_limit: 640_000_000 };
    await show({ body: status({ storage: { metrics: { ...unmeasured, gauges } } }) });
    expect(facts("storage")).toMatchObject({ Vectors: "1,000,000", "Vector memory": "396 MB of 640 MB" });
    expect(screen.getByText("Metrics: measuring")).toBeVisible();
  });

  it("say who counted the client's requests", async () => {
    const metrics = { ...unmeasured, source: "api", seconds: 60, requests: 5, errors: 0 };
    await show({ body: status({ client: { metrics } }) });
    expect(screen.getByText("Metrics, last 1 min, counted by api")).toBeVisible();
    expect(facts("client")).not.toHaveProperty("Memory");
  });

  it("that are missing are no error, and the reason is among the details", async () => {
    await show({ body: status() });
    expect(screen.getAllByText("No metrics")).toHaveLength(8);
    expect(screen.getByText("All 8 services are up.")).toBeVisible();
    expect(facts("nlg")).toMatchObject({ Metrics: "/metrics answered 404" });
  });
});

describe("editions", () => {
  const points = [
    [4, 1],
    [null, 0],
  ];
  const services = Object.fromEntries(status().services.map(({ name }) => [name, points]));
  const history = { body: { sample_every_s: 10, samples: 60, services } };

  it("simple has neither response times nor export", async () => {
    const seen = await show({ body: status() });
    expect(screen.queryByRole("img")).not.toBeInTheDocument();
    expect(screen.queryByRole("link", { name: /CSV|JSON/ })).not.toBeInTheDocument();
    expect(seen.some(({ path }) => path.startsWith("/api/history"))).toBe(false);
  });

  it("community shows response times for the selected span", async () => {
    const body = status({}, { capabilities: ["status", "timeline"], limits: { history_samples: 360 } });
    const seen = await show(
      { body },
      { "GET /api/history?samples=60": history, "GET /api/history?samples=360": history },
    );
    expect(screen.getAllByRole("img")).toHaveLength(8);
    const line = within(screen.getByRole("article", { name: "nlg" })).getByRole("img");
    expect(line).toHaveAccessibleName("Response times up to 4.0 ms; outages in 1 of 2 intervals.");
    const picker = screen.getByLabelText("Response times for the last");
    expect([...picker.children].map((option) => option.textContent)).toEqual(["10 min", "1 h"]);
    fireEvent.change(picker, { target: { value: "360" } });
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(seen.at(-1)?.path).toBe("/api/history?samples=360");
  });

  it("enterprise offers exports", async () => {
    await show({ body: status({}, { capabilities: ["status", "export"] }) });
    expect(screen.getByRole("link", { name: "CSV" })).toHaveAttribute("href", "/api/export?format=csv");
    expect(screen.getByRole("link", { name: "JSON" })).toHaveAttribute("href", "/api/export?format=json");
  });
});
