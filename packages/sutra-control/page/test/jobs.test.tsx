import { act, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { App } from "../src/App";
import type { Job } from "../src/api/types";
import { connectionError, paged, type Reply, refusal, type SentRequest, serve } from "./service";

type Replies = Parameters<typeof serve>[0];

beforeEach(() => {
  vi.useFakeTimers();
  window.history.replaceState(null, "", "/#/jobs");
});
afterEach(() => {
  vi.useRealTimers();
});

const settle = (ms = 0) => act(() => vi.advanceTimersByTimeAsync(ms));

async function show(replies: Replies): Promise<SentRequest[]> {
  const seen = serve(replies);
  render(<App />);
  await settle();
  return seen;
}

async function press(name: string | RegExp) {
  fireEvent.click(screen.getByRole("button", { name }));
  await settle();
}

function job(number: number, more: Partial<Job> = {}): Job {
  return {
    id: `j-${number}`,
    state: "done",
    bytes_total: 1000,
    bytes_done: 1000,
    lines_read: 9,
    taught: 9,
    bad: 0,
    ...more,
  };
}

const many = (count: number) => Array.from({ length: count }, (_, index) => job(count - index));
const ids = () => screen.getAllByRole("article").map((article) => within(article).getByRole("heading").textContent);

describe("the jobs page", () => {
  it("lists every job, page by page", async () => {
    const seen = await show({ "GET /api/jobs": paged("jobs", () => many(230), "id", 100) });
    expect(ids()).toHaveLength(100);
    expect(screen.getByText("The newest 100 jobs.")).toBeVisible();
    await press("Show older jobs");
    expect(ids()).toHaveLength(200);
    await press("Show older jobs");
    expect(ids()).toEqual(many(230).map(({ id }) => id));
    expect(screen.getByText("All 230 jobs, newest first.")).toBeVisible();
    expect(screen.queryByRole("button", { name: "Show older jobs" })).not.toBeInTheDocument();
    expect(seen.at(-1)?.path).toBe("/api/jobs?cursor=after%20j-31");
  });

  it("shows new jobs and progress, also of older pages", async () => {
    let jobs = many(150);
    await show({ "GET /api/jobs": paged("jobs", () => jobs, "id", 100) });
    await press("Show older jobs");
    jobs = [job(151, { state: "running", bytes_done: 0 }), ...jobs.slice(0, -1), job(1, { state: "failed" })];
    await settle(5_000);
    expect(ids()).toHaveLength(151);
    expect(within(screen.getByRole("article", { name: "j-151" })).getByText("0 % of 1 kB")).toBeVisible();
    expect(within(screen.getByRole("article", { name: "j-1" })).getByText("failed")).toBeVisible();
  });

  it("shows state, reason and counts of a job", async () => {
    const waiting = job(1, { state: "waiting", reason: "cannot reach hybrid", bytes_done: 339, taught: 1200, bad: 3 });
    await show({ "GET /api/jobs": paged("jobs", () => [waiting], "id", 100) });
    const shown = within(screen.getByRole("article", { name: "j-1" }));
    for (const text of ["waiting", "cannot reach hybrid", "33 % of 1 kB", "1,200"]) {
      expect(shown.getByText(text)).toBeVisible();
    }
    expect(screen.getByText("All 1 job, newest first.")).toBeVisible();
  });

  it("says that there may be more if the ingester does not say", async () => {
    await show({ "GET /api/jobs": { body: { jobs: many(100), next: null, more: true } } });
    expect(screen.getByText(/there may be older ones/)).toBeVisible();
  });

  it("says that there are none", async () => {
    await show({ "GET /api/jobs": paged("jobs", () => [] as Job[], "id", 100) });
    expect(screen.getByText("No ingest jobs yet.")).toBeVisible();
  });

  it.each<[Reply, string]>([
    [connectionError, "Cannot reach control"],
    [refusal(503, "bulk-ingester_unreachable", "cannot reach bulk-ingester"), "Cannot reach bulk-ingester"],
    [{ body: { jobs: 7 } }, "unexpected response"],
  ])("keeps the jobs and recovers after a failure (%#)", async (failure, text) => {
    let works = true;
    const list = paged("jobs", () => many(2), "id", 100);
    await show({ "GET /api/jobs": (request) => (works ? list(request) : failure) });
    works = false;
    await settle(5_000);
    expect(screen.getByText(/may be outdated/).closest("[role=alert]")).toHaveTextContent(text);
    expect(ids()).toHaveLength(2);
    works = true;
    await settle(5_000);
    expect(screen.queryByText(/may be outdated/)).not.toBeInTheDocument();
  });

  it("returns to the sign-in form when the session has ended", async () => {
    await show({ "GET /api/jobs": refusal(401, "unauthorized", "not signed in") });
    expect(screen.getByText(/Your session has ended/)).toBeVisible();
  });
});

describe("bad lines", () => {
  const bad = [
    { line: 3, reason: "not JSON" },
    { line: 1700, reason: "<b>the text</b> is too long" },
  ];

  it("are read when they are opened, with numbers and reasons", async () => {
    const seen = await show({
      "GET /api/jobs": paged("jobs", () => [job(2), job(1, { bad: 2 })], "id", 100),
      "GET /api/jobs/j-1": { body: { ...job(1), bad_lines: bad } },
    });
    expect(screen.getAllByRole("button", { name: /bad line/ })).toHaveLength(1);
    expect(seen.some(({ path }) => path === "/api/jobs/j-1")).toBe(false);
    await press(/Show 2 bad lines/);
    expect(screen.getByRole("row", { name: "3 not JSON" })).toBeVisible();
    expect(screen.getByRole("row", { name: "1,700 <b>the text</b> is too long" })).toBeVisible();
    expect(screen.queryByText(/lists the first/)).not.toBeInTheDocument();
    await press(/Hide 2 bad lines/);
    expect(screen.getByText("not JSON")).not.toBeVisible();
  });

  it("say how many are not listed, and are read again when there are more", async () => {
    let jobs = [job(1, { state: "running", bad: 2 })];
    let lines = bad.slice(0, 1);
    await show({
      "GET /api/jobs": paged("jobs", () => jobs, "id", 100),
      "GET /api/jobs/j-1": () => ({ body: { ...job(1), bad_lines: lines } }),
    });
    await press(/Show 2 bad lines/);
    expect(screen.getByText("The ingester lists the first 1 of 2 bad lines.")).toBeVisible();
    jobs = [job(1, { state: "running", bad: 3 })];
    lines = bad;
    await settle(5_000);
    expect(screen.getByRole("row", { name: /1,700/ })).toBeVisible();
  });

  it("say why they cannot be read", async () => {
    await show({
      "GET /api/jobs": paged("jobs", () => [job(1, { bad: 1 })], "id", 100),
      "GET /api/jobs/j-1": refusal(404, "not_found", "unknown job"),
    });
    await press(/Show 1 bad line/);
    expect(screen.getByText("Unknown job")).toBeVisible();
  });
});

describe("cancelling", () => {
  const running = () => job(1, { state: "running", taught: 1200 });
  const deletes = (seen: SentRequest[]) => seen.filter(({ method }) => method === "DELETE").map(({ path }) => path);

  it("is offered for active jobs only", async () => {
    const states = ["queued", "running", "waiting", "done", "failed", "cancelled"];
    const jobs = states.map((state, index) => job(index, { state }));
    await show({ "GET /api/jobs": paged("jobs", () => jobs, "id", 100) });
    const names = screen.getAllByRole("button", { name: /^Cancel job/ }).map((button) => button.textContent);
    expect(names).toEqual(["Cancel job j-0", "Cancel job j-1", "Cancel job j-2"]);
  });

  it("happens after a confirmation that says what goes and what stays", async () => {
    let current = running();
    const seen = await show({
      "GET /api/jobs": paged("jobs", () => [current], "id", 100),
      "DELETE /api/jobs/j-1": () => {
        current = job(1, { state: "cancelled" });
        return { body: current };
      },
    });
    await press(/^Cancel job j-1/);
    const question = screen.getByRole("alertdialog", { name: "Cancel job j-1?" });
    expect(question).toHaveAccessibleDescription(/1,200 texts taught so far stay.*upload is deleted/);
    await vi.waitFor(() => expect(screen.getByRole("button", { name: "Keep running" })).toHaveFocus());
    expect(deletes(seen)).toEqual([]);
    await press("Cancel the job");
    expect(deletes(seen)).toEqual(["/api/jobs/j-1"]);
    expect(screen.getByText("Job j-1 is cancelled.")).toBeVisible();
    expect(within(screen.getByRole("article")).getByText("cancelled")).toBeVisible();
    expect(screen.queryByRole("alertdialog")).not.toBeInTheDocument();
  });

  it.each(["the button", "Escape"])("does not happen after %s", async (way) => {
    const seen = await show({ "GET /api/jobs": paged("jobs", () => [running()], "id", 100) });
    await press(/^Cancel job j-1/);
    if (way === "Escape") fireEvent.keyDown(screen.getByRole("button", { name: "Keep running" }), { key: "Escape" });
    else await press("Keep running");
    await settle();
    expect(screen.queryByRole("alertdialog")).not.toBeInTheDocument();
    await vi.waitFor(() => expect(screen.getByRole("button", { name: /^Cancel job j-1/ })).toHaveFocus());
    expect(deletes(seen)).toEqual([]);
  });

  it("says that the job has already ended", async () => {
    let current = running();
    await show({
      "GET /api/jobs": paged("jobs", () => [current], "id", 100),
      "DELETE /api/jobs/j-1": () => {
        current = job(1);
        return refusal(409, "job_ended", "the job has already ended");
      },
    });
    await press(/^Cancel job j-1/);
    await press("Cancel the job");
    expect(screen.getByText("The job has already ended").closest("[role=alert]")).toBeVisible();
    expect(within(screen.getByRole("article")).getByText("done")).toBeVisible();
  });
});
