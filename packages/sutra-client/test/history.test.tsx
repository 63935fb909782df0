import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { App } from "../src/App";
import { type Entry, loadHistory, saveHistory, withEntry } from "../src/ask/history";
import { saveKey } from "../src/key/store";
import { Knowledge } from "./knowledge";
import { never, refusal, sentTo, serve } from "./service";

beforeEach(() => {
  saveKey("secret-key", "tab");
});

function knowledge() {
  const all = new Knowledge();
  all.keep("Water boils at 100 °C.", "Lighthouses are red and white.");
  return all;
}

const field = () => screen.getByLabelText("Your question");

/** Asks each question and waits for its answer. */
async function ask(...questions: string[]) {
  const user = userEvent.setup();
  for (const question of questions) {
    await user.clear(field());
    await user.type(field(), `${question}{Enter}`);
    await screen.findByRole("heading", { name: question });
  }
  return user;
}

const answered = () => within(screen.getByRole("article"));

describe("the history", () => {
  it("returns to an answer with one click and without a request", async () => {
    const seen = serve({}, knowledge());
    render(<App />);
    const user = await ask("When does water boil?", "How do lighthouses look?");
    expect(answered().getByText("Lighthouses are red and white.", { selector: "p span" })).toBeVisible();
    await user.click(screen.getByRole("button", { name: /^When does water boil\?/ }));
    await waitFor(() => expect(screen.getByRole("heading", { name: "When does water boil?" })).toHaveFocus());
    expect(answered().getByText("Water boils at 100 °C.", { selector: "p span" })).toBeVisible();
    expect(sentTo(seen, "/api/query")).toHaveLength(2);
    expect(field()).toHaveValue("How do lighthouses look?");
    expect(screen.getByRole("button", { current: true, name: /^When does/ })).toBeVisible();
  });

  it("is newest first, and not shown for a single answer", async () => {
    serve({}, knowledge());
    render(<App />);
    const user = await ask("When does water boil?");
    expect(screen.queryByRole("heading", { name: "Questions from this visit" })).not.toBeInTheDocument();
    await ask("How do lighthouses look?");
    const [, list] = screen.getAllByRole("list");
    if (!list) throw new Error("expected a history");
    expect(within(list).getAllByRole("button")[0]).toHaveTextContent("How do lighthouses look?");
    await user.click(screen.getByRole("button", { name: "Clear history" }));
    expect(screen.queryByRole("heading", { name: "Questions from this visit" })).not.toBeInTheDocument();
    await waitFor(() => expect(loadHistory()).toEqual([]));
  });

  it("stays through a reload of the tab", async () => {
    serve({}, knowledge());
    const { unmount } = render(<App />);
    await ask("When does water boil?");
    unmount();
    render(<App />);
    expect(screen.queryByRole("article")).not.toBeInTheDocument();
    await userEvent.click(screen.getByRole("button", { name: /^When does water boil\?/ }));
    expect(answered().getByText("Water boils at 100 °C.", { selector: "p span" })).toBeVisible();
    await ask("How do lighthouses look?");
    const questions = ["How do lighthouses look?", "When does water boil?"];
    await waitFor(() => expect(loadHistory().map(({ question }) => question)).toEqual(questions));
  });

  it("can be used while a question is being answered, and after an error", async () => {
    let reply: "answer" | "never" | "error" = "answer";
    const replies = { answer: undefined, never, error: refusal(503, "overloaded", "Too many requests.") };
    serve({ "/api/query": () => replies[reply] }, knowledge());
    render(<App />);
    const user = await ask("When does water boil?");
    reply = "error";
    await user.type(field(), "!{Enter}");
    expect(await screen.findByRole("alert")).toBeVisible();
    expect(screen.queryByRole("article")).not.toBeInTheDocument();
    await user.click(screen.getByRole("button", { name: /^When does water boil\?/ }));
    expect(screen.queryByRole("alert")).not.toBeInTheDocument();
    expect(screen.getByRole("article")).toBeVisible();
    reply = "never";
    await user.type(field(), "!{Enter}");
    await user.click(screen.getByRole("button", { name: /^When does water boil\?/ }));
    expect(screen.getByRole("article")).toBeVisible();
    expect(screen.getByText("Searching…")).toBeVisible();
  });

  it("is gone when the key is forgotten, with everything else of the visit", async () => {
    serve({}, knowledge());
    render(<App />);
    const user = await ask("When does water boil?", "How do lighthouses look?");
    await user.click(screen.getByRole("button", { name: "Forget key" }));
    expect(screen.queryByText(/Water boils/)).not.toBeInTheDocument();
    expect(screen.queryByRole("article")).not.toBeInTheDocument();
    expect(field()).toHaveValue("");
    await waitFor(() => expect(sessionStorage.length + localStorage.length).toBe(0));
    await waitFor(() => expect(screen.getByRole("heading", { level: 1, name: "Ask a question" })).toHaveFocus());
  });

  it("keeps the newest entries that the browser has room for", () => {
    const entry = (id: number) => ({ id, question: `${id}`, answer: { answer: "x".repeat(400_000), citations: [] } });
    let history: Entry[] = [entry(0)];
    for (let id = 1; id < 60; id += 1) history = withEntry(history, entry(id));
    expect(history).toHaveLength(50);
    saveHistory(history);
    const kept = loadHistory().map(({ id }) => id);
    expect(kept.length).toBeGreaterThan(3);
    expect(kept).toEqual(history.slice(0, kept.length).map(({ id }) => id));
  });

  it.each(["oops", "{}", '[1, null, {"id": 1, "question": "a"}]'])("ignores what it cannot read: %s", (stored) => {
    sessionStorage.setItem("sutra.history", stored);
    expect(loadHistory()).toEqual([]);
  });
});

describe("a corrected question", () => {
  it("is shown with the answer, and can be asked", async () => {
    const seen = serve({
      "/api/query": ({ body }) => {
        const isTypo = (body as { question: string }).question.includes("watr");
        return {
          body: { answer: "At 100 °C.", citations: [], ...(isTypo && { corrected: "When does water boil?" }) },
        };
      },
    });
    render(<App />);
    const user = await ask("When does watr boil?");
    expect(answered().getByText(/Did you mean/)).toHaveTextContent("Did you mean “When does water boil?”?");
    await user.click(screen.getByRole("button", { name: "Ask this instead" }));
    await screen.findByRole("heading", { name: "When does water boil?" });
    expect(sentTo(seen, "/api/query")[1]?.body).toEqual({ question: "When does water boil?", limit: 5 });
    expect(field()).toHaveValue("When does water boil?");
    expect(screen.queryByText(/Did you mean/)).not.toBeInTheDocument();
  });
});
