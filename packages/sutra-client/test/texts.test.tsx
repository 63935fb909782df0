import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { App } from "../src/App";
import { saveKey } from "../src/key/store";
import { Knowledge } from "./knowledge";
import { never, refusal, sentTo, serve } from "./service";

beforeEach(() => {
  saveKey("secret-key", "tab");
  window.history.replaceState(null, "", "/texts");
});

const items = () => within(screen.getByRole("list", { name: "Taught texts" })).getAllByRole("listitem");
const item = (index: number) => within(items()[index] ?? document.body);
const sources = () => screen.getByRole("combobox", { name: "Source" });

/** 30 texts without a source, then 25 of a file, then one of three passages. */
function library() {
  const all = new Knowledge();
  for (let number = 1; number <= 30; number += 1) all.keep(`Fact ${number}.`);
  for (let number = 1; number <= 25; number += 1) all.keep({ text: `Line ${number}.`, source: "lines.csv" });
  const chapter = Array.from({ length: 250 }, (_, index) => `Word ${index}.`).join(" ");
  all.keep({ text: chapter, source: "https://example.org/book", title: "Chapter one" });
  return { all, chapter };
}

describe("the taught texts", () => {
  it("are listed part by part", async () => {
    const { all } = library();
    const seen = serve({}, all);
    render(<App />);
    const user = userEvent.setup();
    await waitFor(() => expect(items()).toHaveLength(20));
    await user.click(screen.getByRole("button", { name: "Show more texts" }));
    await waitFor(() => expect(items()).toHaveLength(40));
    await user.click(screen.getByRole("button", { name: "Show more texts" }));
    await waitFor(() => expect(items()).toHaveLength(56));
    expect(screen.queryByRole("button", { name: "Show more texts" })).not.toBeInTheDocument();
    expect(new Set(items().map((one) => one.textContent)).size).toBe(56);
    expect(sentTo(seen, "/api/concepts", "GET")[1]?.query).toMatchObject({ cursor: "after:id-0020" });
  });

  it("are filtered by source", async () => {
    const seen = serve({}, library().all);
    render(<App />);
    const user = userEvent.setup();
    await screen.findByRole("option", { name: "lines.csv (25 passages)" });
    await user.selectOptions(sources(), "lines.csv");
    await waitFor(() => expect(items()[0]).toHaveTextContent("Line 1."));
    await user.click(screen.getByRole("button", { name: "Show more texts" }));
    await waitFor(() => expect(items()).toHaveLength(25));
    expect(sentTo(seen, "/api/concepts", "GET").at(-1)?.query).toMatchObject({ source: "lines.csv" });
    await user.selectOptions(sources(), "All sources");
    await waitFor(() => expect(items()[0]).toHaveTextContent("Fact 1."));
  });

  it("have more sources than fit into one part", async () => {
    const all = new Knowledge();
    for (let number = 1; number <= 203; number += 1) all.keep({ text: `${number}`, source: `file ${1000 + number}` });
    serve({}, all);
    render(<App />);
    await userEvent.click(await screen.findByRole("button", { name: "Show more sources" }));
    await waitFor(() => expect(within(sources()).getAllByRole("option")).toHaveLength(204));
    expect(screen.queryByRole("button", { name: "Show more sources" })).not.toBeInTheDocument();
  });

  it("show one as a whole, read from the service if it has several passages", async () => {
    const { all, chapter } = library();
    const seen = serve({}, all);
    render(<App />);
    const user = userEvent.setup();
    await screen.findByRole("option", { name: /example\.org/ });
    await user.selectOptions(sources(), "https://example.org/book");
    const toggle = await screen.findByRole("button", { name: "Show whole text: Chapter one" });
    expect(item(0).getByText(/3 passages/)).toBeVisible();
    expect(item(0).getByRole("link")).toHaveAttribute("href", "https://example.org/book");
    expect(toggle).toHaveAttribute("aria-expanded", "false");
    expect(item(0).queryByText(/Word 249\./)).not.toBeInTheDocument();
    await user.click(toggle);
    expect(await item(0).findByText(/Word 249\./)).toHaveTextContent(chapter);
    expect(sentTo(seen, "/api/concepts/id-0056", "GET")).toHaveLength(1);
    await user.click(screen.getByRole("button", { name: "Show less: Chapter one" }));
    expect(item(0).queryByText(/Word 249\./)).not.toBeInTheDocument();
  });

  it("are read again when the page is shown again", async () => {
    const { all } = library();
    serve({}, all);
    render(<App />);
    await waitFor(() => expect(items()).toHaveLength(20));
    await userEvent.click(screen.getByRole("link", { name: "Ask" }));
    for (const id of all.texts.keys()) if (id !== "id-0007") all.texts.delete(id);
    await userEvent.click(screen.getByRole("link", { name: "Texts" }));
    await waitFor(() => expect(items()).toHaveLength(1));
  });

  it("say when there are none, and need a key", async () => {
    const seen = serve();
    sessionStorage.clear();
    render(<App />);
    expect(screen.getByText("Enter your API key to see the texts.")).toBeVisible();
    expect(seen.every(({ path }) => path === "/api/health")).toBe(true);
    await userEvent.type(screen.getByLabelText("API key"), "secret-key{Enter}");
    expect(await screen.findByText(/No texts yet/)).toBeVisible();
  });

  it("can be loaded again after an error", async () => {
    let isBroken = true;
    const reply = refusal(400, "invalid_cursor", "invalid cursor; start again without one");
    serve({ "/api/concepts": ({ query }) => (isBroken && query?.cursor ? reply : undefined) }, library().all);
    render(<App />);
    const user = userEvent.setup();
    await user.click(await screen.findByRole("button", { name: "Show more texts" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("invalid_cursor");
    isBroken = false;
    await user.click(screen.getByRole("button", { name: "Reload the list" }));
    await waitFor(() => expect(items()).toHaveLength(20));
    expect(screen.queryByRole("alert")).not.toBeInTheDocument();
  });
});

describe("deleting a text", () => {
  async function confirmDelete(all: Knowledge, replies = {}) {
    const seen = serve(replies, all);
    render(<App />);
    const user = userEvent.setup();
    await user.click(await screen.findByRole("button", { name: "Delete: Fact 2." }));
    return { seen, user, dialog: screen.getByRole("alertdialog", { name: "Delete this text?" }) };
  }

  it("needs a confirmation that says what goes", async () => {
    const { all } = library();
    const { seen, user, dialog } = await confirmDelete(all);
    expect(dialog).toHaveAccessibleDescription(/“Fact 2\.” will be deleted.*cannot be undone/);
    await waitFor(() => expect(within(dialog).getByRole("button", { name: "Cancel" })).toHaveFocus());
    await user.keyboard("{Escape}");
    expect(screen.queryByRole("alertdialog")).not.toBeInTheDocument();
    await waitFor(() => expect(screen.getByRole("button", { name: "Delete: Fact 2." })).toHaveFocus());
    expect(seen.some(({ method }) => method === "DELETE")).toBe(false);
    expect(all.texts.size).toBe(56);
  });

  it("deletes it and says so", async () => {
    const { all } = library();
    const { seen, user, dialog } = await confirmDelete(all);
    await user.click(within(dialog).getByRole("button", { name: "Delete text" }));
    expect(await screen.findByText("Deleted “Fact 2.”.")).toBeVisible();
    expect(screen.queryByText("Fact 2.")).not.toBeInTheDocument();
    expect(items()).toHaveLength(19);
    expect(all.texts.has("id-0002")).toBe(false);
    expect(all.texts.size).toBe(55);
    expect(sentTo(seen, "/api/concepts/id-0002", "DELETE")).toHaveLength(1);
  });

  it("accepts that it was deleted already", async () => {
    const { all } = library();
    const { user, dialog } = await confirmDelete(all);
    all.texts.delete("id-0002");
    await user.click(within(dialog).getByRole("button", { name: "Delete text" }));
    expect(await screen.findByText("Deleted “Fact 2.”.")).toBeVisible();
    expect(all.texts.size).toBe(55);
  });

  it("reports a failure and keeps the text", async () => {
    const { all } = library();
    const failure = { "/api/concepts/id-0002": refusal(503, "storage_unavailable", "storage is down") };
    const { user, dialog } = await confirmDelete(all, failure);
    await user.click(within(dialog).getByRole("button", { name: "Delete text" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("the storage service is down");
    expect(screen.getByText("Fact 2.")).toBeVisible();
  });

  it("cannot be started twice", async () => {
    const { all } = library();
    const { user, dialog } = await confirmDelete(all, { "/api/concepts/id-0002": never });
    await user.click(within(dialog).getByRole("button", { name: "Delete text" }));
    expect(within(dialog).getByRole("button", { name: "Deleting…" })).toBeDisabled();
  });
});

describe("deleting a source", () => {
  it("needs a confirmation that says what goes, then deletes all of it", async () => {
    const { all } = library();
    const seen = serve({}, all);
    render(<App />);
    const user = userEvent.setup();
    await screen.findByRole("option", { name: /lines\.csv/ });
    expect(screen.queryByRole("button", { name: "Delete all from this source" })).not.toBeInTheDocument();
    await user.selectOptions(sources(), "lines.csv");
    await user.click(screen.getByRole("button", { name: "Delete all from this source" }));
    const dialog = screen.getByRole("alertdialog", { name: "Delete everything from this source?" });
    expect(dialog).toHaveAccessibleDescription(/25 passages from “lines\.csv” will be deleted/);
    expect(all.texts.size).toBe(56);
    await user.click(within(dialog).getByRole("button", { name: "Delete all" }));
    expect(await screen.findByText("Deleted 25 passages from “lines.csv”.")).toBeVisible();
    expect(sentTo(seen, "/api/concepts", "DELETE").map(({ query }) => query)).toEqual([{ source: "lines.csv" }]);
    expect(all.texts.size).toBe(31);
    expect(sources()).toHaveValue("");
    await waitFor(() => expect(screen.queryByRole("option", { name: /lines\.csv/ })).not.toBeInTheDocument());
  });
});
