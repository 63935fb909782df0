import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { App } from "../src/App";
import { saveKey } from "../src/key/store";
import { never, refusal, serve } from "./service";

const WATER = {
  answer: "Water boils at 100 °C [1], lower on mountains [2].",
  citations: [
    { id: "a", text: "At sea level water boils at 100 °C.", score: 0.912, number: 1 },
    { id: "b", text: "Air pressure falls with height, and the boiling point with it.", score: 0.456, number: 2 },
  ],
  mode: "grounded",
};

beforeEach(() => {
  saveKey("secret-key", "tab");
});

async function ask(question = "When does water boil?") {
  const user = userEvent.setup();
  render(<App />);
  await user.type(screen.getByLabelText("Your question"), `${question}{Enter}`);
  return user;
}

describe("asking", () => {
  it("sends question, limit and key, and shows the answer", async () => {
    const seen = serve({ "/api/query": { body: WATER } });
    await ask("  When does water boil? ");
    expect(await screen.findByRole("heading", { name: "When does water boil?" })).toBeVisible();
    expect(seen.find(({ path }) => path === "/api/query")).toMatchObject({
      method: "POST",
      key: "Bearer secret-key",
      body: { question: "When does water boil?", limit: 5 },
    });
    expect(screen.getByText(/Water boils at 100/)).toBeVisible();
    expect(screen.getByText("Mode: grounded")).toBeVisible();
    expect(screen.getByText("Answer with 2 citations.")).toBeInTheDocument();
  });

  it("requests the selected number of sources", async () => {
    const seen = serve({ "/api/query": { body: WATER } });
    render(<App />);
    const user = userEvent.setup();
    await user.selectOptions(screen.getByLabelText("Maximum sources"), "10");
    await user.type(screen.getByLabelText("Your question"), "Why?");
    await user.click(screen.getByRole("button", { name: "Ask" }));
    await screen.findByRole("heading", { name: "Why?" });
    expect(seen.find(({ path }) => path === "/api/query")?.body).toEqual({ question: "Why?", limit: 10 });
  });

  it("inserts a new line on Shift + Enter", async () => {
    const seen = serve({});
    render(<App />);
    await userEvent.type(screen.getByLabelText("Your question"), "a{Shift>}{Enter}{/Shift}b");
    expect(screen.getByLabelText("Your question")).toHaveValue("a\nb");
    expect(seen.some(({ path }) => path === "/api/query")).toBe(false);
  });

  it("jumps from a mark to its source and back", async () => {
    serve({ "/api/query": { body: WATER } });
    const user = await ask();
    const second = await screen.findByRole("button", { name: "Citation 2" });
    const [, card] = screen.getAllByRole("listitem");
    if (!card) throw new Error("expected two citations");
    expect(within(card).getByRole("button")).toHaveAttribute("aria-expanded", "false");
    expect(within(card).getByRole("button")).toHaveTextContent("score 0.46");
    await user.click(second);
    const summary = within(card).getByRole("button");
    await waitFor(() => expect(summary).toHaveFocus());
    expect(summary).toHaveAttribute("aria-expanded", "true");
    expect(within(card).getByText(/^Air pressure falls/)).toBeVisible();
    await user.keyboard("{Escape}");
    await waitFor(() => expect(second).toHaveFocus());
    await user.click(summary);
    expect(summary).toHaveAttribute("aria-expanded", "false");
  });

  it("shows when an answer has no sources", async () => {
    serve({ "/api/query": { body: { answer: "I do not know.", citations: [] } } });
    await ask();
    expect(await screen.findByText(/No sources found/)).toBeVisible();
    expect(within(screen.getByRole("article")).queryByRole("list")).not.toBeInTheDocument();
  });

  it("shows progress and can be stopped", async () => {
    serve({ "/api/query": never });
    const user = await ask();
    expect(await screen.findByText("Searching…")).toBeVisible();
    expect(screen.getByRole("button", { name: "Ask" })).toBeDisabled();
    await user.click(screen.getByRole("button", { name: "Stop" }));
    expect(screen.queryByText("Searching…")).not.toBeInTheDocument();
    expect(screen.getByLabelText("Your question")).toHaveValue("When does water boil?");
    expect(screen.getByRole("button", { name: "Ask" })).toBeEnabled();
  });
});

describe("errors", () => {
  it.each([
    [refusal(429, "rate_limited", "60 requests a minute are allowed.", { "Retry-After": "7" }), "Wait 7 seconds"],
    [
      refusal(413, "payload_too_large", "The question is longer than 4 kB."),
      "Split the text or file into smaller parts",
    ],
    [refusal(422, "invalid_question", "Question must not be blank."), "Change your input"],
    [refusal(502, "api_unreachable", "Cannot reach the api service."), "the api service is down"],
    [refusal(503, "hybrid_not_ready", "hybrid returned 503; wait for it"), "the hybrid service is not ready"],
    [refusal(504, "nlg_timeout", "nlg did not respond within 30 s"), "the nlg service did not respond in time"],
    [refusal(503, "overloaded", "Too many requests at the moment."), "Try again shortly"],
    [refusal(500, "internal", "Internal error in the api service."), "contact the administrator"],
  ])("are shown with the service's message and a remedy (%#)", async (reply, remedy) => {
    serve({ "/api/query": reply });
    await ask();
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent(reply.body.error.message);
    expect(alert).toHaveTextContent(reply.body.error.code);
    expect(alert).toHaveTextContent(remedy);
    expect(screen.getByLabelText("Your question")).toHaveValue("When does water boil?");
  });

  it("are capitalized and shown once", async () => {
    serve({ "/api/query": refusal(422, "invalid_question", "question must not be blank") });
    await ask();
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent(/^Question must not be blank/);
    expect(alert).not.toHaveTextContent("question must not be blank");
  });

  it("offer to use a different key when the key was rejected", async () => {
    serve({ "/api/query": refusal(401, "invalid_key", "Unknown API key.") });
    const user = await ask();
    await user.click(await screen.findByRole("button", { name: "Use a different key" }));
    await waitFor(() => expect(screen.getByLabelText("API key")).toHaveFocus());
  });

  it("distinguish a lost connection from an HTTP error", async () => {
    serve({ "/api/query": new TypeError("Failed to fetch") });
    await ask();
    expect(await screen.findByRole("alert")).toHaveTextContent("Cannot reach the service from this browser");
  });

  it.each(["<html>oops</html>", { citations: [] }, { answer: "x", citations: [{ id: 1 }] }])(
    "report an unexpected response (%#)",
    async (body) => {
      serve({ "/api/query": { body } });
      await ask();
      expect(await screen.findByRole("alert")).toHaveTextContent("returned an unexpected response");
    },
  );

  it("handle an HTML error page of a proxy", async () => {
    serve({ "/api/query": { status: 502, body: "<html>Bad Gateway</html>" } });
    await ask();
    expect(await screen.findByRole("alert")).toHaveTextContent("returned status 502");
  });
});
