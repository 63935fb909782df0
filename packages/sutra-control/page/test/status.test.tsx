import { act, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import { down, lost, type Reply, refusal, type Seen, serve, status } from "./service";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function show(reply: Reply | (() => Reply), more: Record<string, Reply> = {}): Promise<Seen[]> {
  const seen = serve({ "GET /api/status": reply, ...more });
  render(<App />);
  await act(() => vi.advanceTimersByTimeAsync(0));
  return seen;
}

const looks = (seen: Seen[]) => seen.filter(({ path }) => path === "/api/status").length;

describe("the services", () => {
  it("stand there all eight, each with its state in a word", async () => {
    await show({ body: status() });
    expect(screen.getByText("All 8 services are up.")).toBeVisible();
    const cards = screen.getAllByRole("article");
    expect(cards).toHaveLength(8);
    for (const card of cards) expect(within(card).getByText("up")).toBeVisible();
    expect(document.title).toBe("Sutra control");
  });

  it("are named with the reason when they are down", async () => {
    await show({ body: status({ nlg: down }) });
    expect(screen.getByText("1 of 8 services is not up: nlg.")).toBeVisible();
    expect(screen.getByText(/nlg cannot be reached at/)).toBeVisible();
    const card = screen.getByRole("article", { name: "nlg" });
    expect(within(card).getByText("unreachable")).toBeVisible();
    expect(within(card).getByText("no answer")).toBeVisible();
    expect(within(card).getByText("58 of 60 looks")).toBeVisible();
    expect(document.title).toBe("(1) Sutra control");
  });

  it("tell of those they depend on, and of their limits", async () => {
    const hybrid = { dependencies: { storage: "ok", nlg: "timeout", odd: "wobbly" }, limits: { max_texts: 1440 } };
    await show({ body: status({ hybrid }) });
    const card = screen.getByRole("article", { name: "hybrid" });
    expect(within(card).getByText("no answer in time")).toBeVisible();
    expect(within(card).getByText("wobbly")).toBeVisible();
    expect(within(card).getByText("max texts")).toBeInTheDocument();
    expect(within(card).getByText("1,440")).toBeInTheDocument();
  });
});

describe("looking", () => {
  it("goes on every five seconds and shows what has changed", async () => {
    let body = status({ nlg: down });
    const seen = await show(() => ({ body }));
    expect(looks(seen)).toBe(1);
    body = status();
    await act(() => vi.advanceTimersByTimeAsync(4_900));
    expect(looks(seen)).toBe(1);
    await act(() => vi.advanceTimersByTimeAsync(200));
    expect(looks(seen)).toBe(2);
    expect(screen.getByText("All 8 services are up.")).toBeVisible();
  });

  it("pauses while the tab is hidden and goes on at once when it is back", async () => {
    const seen = await show({ body: status() });
    const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
    await act(() => vi.advanceTimersByTimeAsync(600_000));
    expect(looks(seen)).toBe(1);
    hidden.mockReturnValue(false);
    fireEvent(document, new Event("visibilitychange"));
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(looks(seen)).toBe(2);
  });

  it("ends with the page", async () => {
    const seen = serve({ "GET /api/status": { body: status() } });
    const { unmount } = render(<App />);
    await act(() => vi.advanceTimersByTimeAsync(0));
    unmount();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(looks(seen)).toBe(1);
  });

  it.each([
    ["cannot be reached", lost, "cannot be reached from this browser"],
    ["fails", refusal(500, "internal_error", "the service failed on this request"), "failed on this request"],
    ["answers in another form", { body: { services: {} } }, "does not know"],
    ["is replaced by a proxy's page", { status: 502, body: "<html>" }, "answered with status 502"],
  ])("says when control itself %s, keeps what was seen, and recovers", async (_, failure, words) => {
    let reply: Reply = { body: status() };
    await show(() => reply);
    reply = failure;
    await act(() => vi.advanceTimersByTimeAsync(5_000));
    const alert = screen.getByText(/Sutra control itself is not answering/).closest("[role=alert]");
    expect(alert).toHaveTextContent(words);
    expect(alert).toHaveTextContent(/was seen at/);
    expect(screen.getAllByRole("article")).toHaveLength(8);
    expect(screen.queryByText("All 8 services are up.")).not.toBeInTheDocument();
    reply = { body: status() };
    await act(() => vi.advanceTimersByTimeAsync(5_000));
    expect(screen.queryByText(/Sutra control itself/)).not.toBeInTheDocument();
    expect(screen.getByText("All 8 services are up.")).toBeVisible();
  });
});

describe("what there is besides", () => {
  it("concepts, jobs and images", async () => {
    const jobs = [
      { id: "j-3", state: "waiting", reason: "hybrid cannot be reached", bytes_total: 2000, bytes_done: 1999, bad: 3 },
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
    expect(screen.getByRole("row", { name: /^j-3 waiting hybrid cannot be reached 99 % of 2 kB – – 3/ })).toBeVisible();
    expect(screen.getByRole("row", { name: "j-2 done 100 % of 0 B 1,200 900 0 –" })).toBeVisible();
    expect(screen.getByRole("row", { name: "j-1 not known – – – – –" })).toBeVisible();
    expect(screen.getByText(/shows the newest 3/)).toBeVisible();
    expect(screen.getByText("198 MB")).toBeVisible();
    expect(within(screen.getByRole("article", { name: "nlg" })).getByText("98.8 MB")).toBeVisible();
  });

  it("says what is not known, and why", async () => {
    await show({
      body: status(
        {},
        {
          concepts: { reason: "storage cannot be reached", numbers: {} },
          jobs: { reason: "bulk-ingester cannot be reached", jobs: [], more: false },
          images: { state: "malformed", reason: "images.json is no record of images", images: [] },
        },
      ),
    });
    for (const words of [/storage cannot/, /bulk-ingester cannot/, /no record of images/]) {
      expect(screen.getByText(words)).toBeVisible();
    }
  });

  it("nothing yet is said as that", async () => {
    await show({ body: status() });
    expect(screen.getByText("No file has been ingested yet.")).toBeVisible();
    expect(screen.getByText("No image sizes were handed over")).toBeVisible();
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
    expect(screen.queryByRole("link")).not.toBeInTheDocument();
    expect(seen.some(({ path }) => path.startsWith("/api/history"))).toBe(false);
  });

  it("community shows response times, as far back as chosen", async () => {
    const body = status({}, { capabilities: ["status", "timeline"], limits: { history_samples: 360 } });
    const seen = await show(
      { body },
      { "GET /api/history?samples=60": history, "GET /api/history?samples=360": history },
    );
    expect(screen.getAllByRole("img")).toHaveLength(8);
    const line = within(screen.getByRole("article", { name: "nlg" })).getByRole("img");
    expect(line).toHaveAccessibleName("Response times up to 4.0 ms; not always up in 1 of 2 intervals.");
    const picker = screen.getByLabelText("Response times of the last");
    expect([...picker.children].map((option) => option.textContent)).toEqual(["10 min", "1 h"]);
    fireEvent.change(picker, { target: { value: "360" } });
    await act(() => vi.advanceTimersByTimeAsync(0));
    expect(seen.at(-1)?.path).toBe("/api/history?samples=360");
  });

  it("enterprise hands out files", async () => {
    await show({ body: status({}, { capabilities: ["status", "export"] }) });
    expect(screen.getByRole("link", { name: "CSV" })).toHaveAttribute("href", "/api/export?format=csv");
    expect(screen.getByRole("link", { name: "JSON" })).toHaveAttribute("href", "/api/export?format=json");
  });
});
