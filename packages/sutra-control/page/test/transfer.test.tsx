import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { App } from "../src/App";
import { connectionError, type Reply, refusal, type SentRequest, serve } from "./service";

type Replies = Parameters<typeof serve>[0];

beforeEach(() => {
  window.history.replaceState(null, "", "/#/concepts");
});

const FILE = new File(['{"store":{}}\n'], "sutra-concepts.jsonl");

async function show(replies: Replies = {}): Promise<SentRequest[]> {
  const seen = serve({
    "GET /api/concepts": { body: { concepts: [], next: null } },
    "GET /api/sources": { body: { sources: [], next: null } },
    ...replies,
  });
  render(<App />);
  await screen.findByRole("heading", { name: "Concepts" });
  return seen;
}

async function importFile() {
  await userEvent.upload(screen.getByLabelText("File to import"), FILE);
  await userEvent.click(screen.getByRole("button", { name: "Import" }));
}

const imports = (seen: SentRequest[]) => seen.filter(({ method }) => method === "POST");

it("offers an export as a download", async () => {
  await show();
  const link = screen.getByRole("link", { name: "Export" });
  expect(link).toHaveAttribute("href", "/api/export/concepts");
  expect(link).toHaveAttribute("download");
});

describe("an import", () => {
  it("needs a file", async () => {
    await show();
    expect(screen.getByRole("button", { name: "Import" })).toBeDisabled();
    expect(screen.getByLabelText("File to import")).toHaveAccessibleDescription(/replaces texts with the same ids/);
  });

  it("says what it has done, and shows the texts", async () => {
    let texts: object[] = [];
    const seen = await show({
      "GET /api/concepts": () => ({ body: { concepts: texts, next: null } }),
      "POST /api/import/concepts": () => {
        texts = [{ id: "a", text: "An imported text." }];
        return { body: { lines: 1201, created: 1000, updated: 200 } };
      },
    });
    await importFile();
    const done = await screen.findByText("1,201 lines: created 1,000, updated 200.");
    expect(done.closest("[role=status]")).toBeVisible();
    expect(imports(seen)[0]?.file).toBe(FILE);
    expect(await screen.findByText("An imported text.", { selector: "p" })).toBeVisible();
    await waitFor(() => expect(screen.getByRole("button", { name: "Import" })).toBeDisabled());
    expect(screen.getByLabelText<HTMLInputElement>("File to import").files).toHaveLength(0);
  });

  it("says that it is under way", async () => {
    await show({ "POST /api/import/concepts": new Promise<never>(() => {}) });
    await importFile();
    expect((await screen.findByText(/Importing sutra-concepts.jsonl/)).closest("[role=status]")).toBeVisible();
    expect(screen.getByRole("button", { name: "Importing…" })).toBeDisabled();
    expect(screen.getByLabelText("File to import")).toBeDisabled();
  });

  it.each<[Reply, string]>([
    [connectionError, "Cannot reach control"],
    [refusal(507, "insufficient_storage", "the disk is full; the first 4 lines are stored"), "The disk is full"],
    [{ body: { lines: 1 } }, "unexpected response"],
  ])("says why it failed (%#)", async (failure, text) => {
    await show({ "POST /api/import/concepts": failure });
    await importFile();
    expect((await screen.findByText(new RegExp(text))).closest("[role=alert]")).toBeVisible();
  });

  it("is not sent after the session has ended", async () => {
    let operator: string | null = "anna";
    const seen = await show({ "GET /api/session": () => ({ body: { operator } }) });
    operator = null;
    await importFile();
    expect(await screen.findByText(/Your session has ended/)).toBeVisible();
    expect(imports(seen)).toEqual([]);
  });
});
