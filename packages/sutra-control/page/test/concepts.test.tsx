import { fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { App } from "../src/App";
import type { Concept } from "../src/api/types";
import { nameOf } from "../src/concepts/names";
import { connectionError, paged, type Reply, refusal, type SentRequest, serve } from "./service";

type Replies = Parameters<typeof serve>[0];

beforeEach(() => {
  window.history.replaceState(null, "", "/#/concepts");
});

const GUIDE: Concept = {
  id: "b",
  text: "The first passage.",
  source: "guide & more.md",
  title: "A guide",
  passages: 1200,
};
const NOTE: Concept = { id: "a", text: "A note\n  without a source." };
const ANSWER: Concept = { id: "c", text: "An answer of the list.", source: "faq.csv" };

/** Hybrid behind control: lists, filters, shows and deletes. */
function hybrid(texts: Concept[], pageSize = 50) {
  let current = texts;
  const sources = () => {
    const names = [...new Set(current.flatMap(({ source }) => source ?? []))].sort();
    return names.map((source) => ({
      source,
      concepts: current.filter((text) => text.source === source).reduce((sum, text) => sum + (text.passages ?? 1), 0),
    }));
  };
  const replies: Replies = {
    "GET /api/concepts": paged("concepts", () => current, "id", pageSize),
    "GET /api/sources": paged("sources", sources, "source", 200),
    "DELETE /api/concepts": ({ path }: SentRequest): Reply => {
      const source = new URL(path, "http://control").searchParams.get("source");
      if (!source) return refusal(422, "invalid_request", "query.source: required");
      const deleted = sources().find((known) => known.source === source)?.concepts ?? 0;
      current = current.filter((text) => text.source !== source);
      return { body: { deleted } };
    },
  };
  for (const { id } of texts) {
    replies[`GET /api/concepts/${id}`] = () => {
      const found = current.find((text) => text.id === id);
      const whole = { ...found, text: `${found?.text} And the rest.`, metadata: { page: 7, tags: ["x"] } };
      return found ? { body: whole } : refusal(404, "not_found", "unknown concept");
    };
    replies[`DELETE /api/concepts/${id}`] = () => {
      if (!current.some((text) => text.id === id)) return refusal(404, "not_found", "unknown concept");
      current = current.filter((text) => text.id !== id);
      return { body: { deleted: 1 } };
    };
  }
  return replies;
}

async function show(replies: Replies): Promise<SentRequest[]> {
  const seen = serve(replies);
  render(<App />);
  await screen.findByRole("heading", { name: "Concepts" });
  return seen;
}

const press = async (name: string | RegExp) => userEvent.click(await screen.findByRole("button", { name }));
const titles = () => screen.queryAllByRole("article").map((it) => within(it).getByRole("heading").textContent);
const deletes = (seen: SentRequest[]) => seen.filter(({ method }) => method === "DELETE").map(({ path }) => path);

async function select(source: string) {
  await screen.findByRole("option", { name: new RegExp(source) });
  fireEvent.change(screen.getByLabelText("Source"), { target: { value: source } });
}

describe("browsing", () => {
  it("lists all texts page by page, as text", async () => {
    const texts = Array.from({ length: 5 }, (_, index) => ({ id: `t${index}`, text: `<b>text</b> ${index}` }));
    await show(hybrid(texts, 2));
    await screen.findByText("<b>text</b> 1", { selector: "p" });
    await press("Show more texts");
    await screen.findByText("<b>text</b> 3", { selector: "p" });
    await press("Show more texts");
    await screen.findByText("<b>text</b> 4", { selector: "p" });
    expect(titles()).toEqual(texts.map(({ text }) => text));
    expect(screen.queryByRole("button", { name: "Show more texts" })).not.toBeInTheDocument();
  });

  it("shows title, source and number of passages", async () => {
    await show(hybrid([NOTE, GUIDE]));
    const guide = within(await screen.findByRole("article", { name: "A guide" }));
    expect(guide.getByText(/1,200 passages/)).toBeVisible();
    expect(
      within(screen.getByRole("article", { name: "A note without a source." })).getByText(/No source/),
    ).toBeVisible();
    await screen.findByRole("option", { name: /guide/ });
    expect([...screen.getByLabelText("Source").children].map((option) => option.textContent)).toEqual([
      "All texts, including those without a source",
      "guide & more.md (1,200)",
    ]);
  });

  it("filters by a source from the list or from a text", async () => {
    const seen = await show(hybrid([NOTE, GUIDE, ANSWER]));
    await select("faq.csv");
    await screen.findByText(/An answer/, { selector: "p" });
    expect(titles()).toEqual(["An answer of the list."]);
    fireEvent.change(screen.getByLabelText("Source"), { target: { value: "" } });
    await press("Show only texts from guide & more.md");
    await screen.findByText("The first passage.");
    expect(titles()).toEqual(["A guide"]);
    expect(seen.at(-1)?.path).toBe("/api/concepts?source=guide+%26+more.md");
  });

  it("shows a whole text with its metadata", async () => {
    await show(hybrid([GUIDE]));
    await press("Show whole text of A guide");
    expect(await screen.findByText("The first passage. And the rest.")).toBeVisible();
    expect(screen.getByText('["x"]')).toBeVisible();
    await press("Hide whole text of A guide");
    expect(screen.queryByText(/And the rest/)).not.toBeInTheDocument();
  });

  it.each<[string, Concept[], string]>([
    ["", [], "Nothing has been taught yet."],
    ["faq.csv", [ANSWER], "No texts from this source."],
  ])("says that there is nothing (%#)", async (source, texts, text) => {
    const replies = hybrid(texts);
    if (source) replies["GET /api/concepts?source=faq.csv"] = { body: { concepts: [], next: null } };
    await show(replies);
    if (source) await select(source);
    expect(await screen.findByText(text)).toBeVisible();
  });

  it("says why texts are unavailable, and tries again", async () => {
    const replies = hybrid([NOTE]);
    const list = replies["GET /api/concepts"];
    await show({ ...replies, "GET /api/concepts": refusal(503, "hybrid_unreachable", "cannot reach hybrid") });
    expect((await screen.findByText(/Cannot reach hybrid/)).closest("[role=alert]")).toHaveTextContent("unavailable");
    serve({ ...replies, ...(list && { "GET /api/concepts": list }) });
    await press("Try again");
    expect(await screen.findByRole("article")).toBeVisible();
    expect(screen.queryByText(/Cannot reach hybrid/)).not.toBeInTheDocument();
  });

  it("returns to the sign-in form when the session has ended", async () => {
    serve({ ...hybrid([]), "GET /api/concepts": refusal(401, "unauthorized", "not signed in") });
    render(<App />);
    expect(await screen.findByText(/Your session has ended/)).toBeVisible();
  });
});

describe("deleting a text", () => {
  it("happens after a confirmation that says what goes", async () => {
    const seen = await show(hybrid([NOTE, GUIDE]));
    await press("Delete A guide");
    const question = screen.getByRole("alertdialog", { name: "Delete “A guide”?" });
    expect(question).toHaveAccessibleDescription(
      /deletes the whole text with all its 1,200 passages, source, title.*cannot be undone/,
    );
    await waitFor(() => expect(screen.getByRole("button", { name: "Keep" })).toHaveFocus());
    expect(deletes(seen)).toEqual([]);
    await press("Delete the text");
    expect(await screen.findByText("Deleted: A guide.")).toBeVisible();
    expect(deletes(seen)).toEqual(["/api/concepts/b"]);
    expect(titles()).toEqual(["A note without a source."]);
    await waitFor(() => expect(screen.queryByRole("option", { name: /guide/ })).not.toBeInTheDocument());
  });

  it("does not happen if it is kept", async () => {
    const seen = await show(hybrid([NOTE]));
    await press(/^Delete A note/);
    expect(screen.getByRole("alertdialog")).toHaveAccessibleDescription(
      /deletes the whole text with its source, title/,
    );
    await press("Keep");
    await waitFor(() => expect(screen.getByRole("button", { name: /^Delete A note/ })).toHaveFocus());
    expect(screen.queryByRole("alertdialog")).not.toBeInTheDocument();
    expect(deletes(seen)).toEqual([]);
  });

  it.each<[Reply, string]>([
    [connectionError, "Cannot reach control"],
    [refusal(404, "not_found", "unknown concept"), "Unknown concept"],
  ])("says why it failed, and keeps the text (%#)", async (failure, text) => {
    await show({ ...hybrid([NOTE]), "DELETE /api/concepts/a": failure });
    await press(/^Delete A note/);
    await press("Delete the text");
    expect(await screen.findByText(new RegExp(text))).toBeVisible();
    expect(titles()).toHaveLength(1);
  });
});

describe("deleting a source", () => {
  it("is offered for a selected source only", async () => {
    await show(hybrid([NOTE, ANSWER]));
    await screen.findByRole("option", { name: /faq/ });
    expect(screen.queryByRole("button", { name: "Delete this source" })).not.toBeInTheDocument();
  });

  it("happens after a confirmation that says how much goes, and shows the rest", async () => {
    const seen = await show(hybrid([NOTE, GUIDE, ANSWER]));
    await select("guide & more.md");
    await press("Delete this source");
    const question = screen.getByRole("alertdialog", { name: "Delete all texts from guide & more.md?" });
    expect(question).toHaveAccessibleDescription(/deletes 1,200 concepts with all texts.*cannot be undone/);
    expect(deletes(seen)).toEqual([]);
    await press("Delete the source");
    expect(await screen.findByText("Deleted 1,200 concepts from guide & more.md.")).toBeVisible();
    expect(deletes(seen)).toEqual(["/api/concepts?source=guide+%26+more.md"]);
    await screen.findByText("An answer of the list.", { selector: "p" });
    expect(titles()).toEqual(["A note without a source.", "An answer of the list."]);
    expect(screen.getByLabelText("Source")).toHaveValue("");
  });

  it("is withdrawn when another source is selected", async () => {
    await show(hybrid([GUIDE, ANSWER]));
    await select("faq.csv");
    await press("Delete this source");
    expect(screen.getByRole("alertdialog")).toHaveAccessibleDescription(/deletes 1 concept with/);
    await select("guide & more.md");
    await waitFor(() => expect(screen.queryByRole("alertdialog")).not.toBeInTheDocument());
  });
});

describe("names", () => {
  it.each<[string, string]>([
    ["short", "short"],
    ["  two\n\nlines ", "two lines"],
    ["", "empty text"],
    ["word ".repeat(30), `${"word ".repeat(12).trim()} …`],
    ["x".repeat(200), `${"x".repeat(60)} …`],
    ["\u{1f41d}".repeat(80), `${"\u{1f41d}".repeat(60)} …`],
  ])("of %j", (text, name) => {
    expect(nameOf({ id: "1", text })).toBe(name);
  });
});
