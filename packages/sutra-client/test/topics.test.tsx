import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { App } from "../src/App";
import { saveKey } from "../src/key/store";
import { Knowledge } from "./knowledge";
import { refusal, sentTo, serve } from "./service";

beforeEach(() => {
  saveKey("secret-key", "tab");
});

function community() {
  const all = new Knowledge({ capabilities: ["topics"] });
  for (let number = 1; number <= 5; number += 1) all.keep({ text: `Water fact ${number}.`, source: "water.md" });
  all.keep("Steam is hot water.");
  return all;
}

async function explore(question: string) {
  const user = userEvent.setup();
  render(<App />);
  await user.click(await screen.findByRole("link", { name: "Topics" }));
  await user.type(screen.getByLabelText("A question or a subject"), `${question}{Enter}`);
  return user;
}

describe("topics", () => {
  it("are shown around a question, with their first texts", async () => {
    const seen = serve({}, community());
    const user = await explore(" water ");
    expect(await screen.findByRole("heading", { name: "water 5 texts" })).toBeVisible();
    expect(screen.getByText("Found 2 topics.")).toBeInTheDocument();
    expect(sentTo(seen, "/api/topics")).toMatchObject([{ body: { question: "water" } }]);
    const [water] = screen.getAllByRole("list");
    if (!water) throw new Error("expected a list of texts");
    expect(within(water).getAllByRole("listitem")).toHaveLength(3);
    expect(within(water).getAllByText("water.md")).toHaveLength(3);
    await user.click(screen.getByRole("button", { name: "Show all 5" }));
    expect(within(water).getAllByRole("listitem")).toHaveLength(5);
  });

  it("say when no text matches", async () => {
    serve({}, community());
    await explore("volcano");
    expect(await screen.findByText(/No texts found about this/)).toBeVisible();
  });

  it("report errors", async () => {
    serve({ "/api/topics": refusal(504, "hybrid_timeout", "hybrid did not respond within 30 s") }, community());
    await explore("water");
    expect(await screen.findByRole("alert")).toHaveTextContent("the hybrid service did not respond in time");
  });

  it("are not offered by an edition without them", async () => {
    const seen = serve();
    window.history.replaceState(null, "", "/topics");
    render(<App />);
    expect(await screen.findByText(/Topics are not available in this edition/)).toBeVisible();
    expect(sentTo(seen, "/api/capabilities", "GET")).toHaveLength(1);
    expect(screen.queryByRole("link", { name: "Topics" })).not.toBeInTheDocument();
    expect(screen.queryByLabelText("A question or a subject")).not.toBeInTheDocument();
  });

  it("are refused by another edition without blaming the key", async () => {
    serve({ "/api/topics": refusal(403, "not_in_edition", "topics is not in edition simple") }, community());
    await explore("water");
    const alert = await screen.findByRole("alert");
    expect(alert).toHaveTextContent("Ask the administrator of this service for an edition that has it.");
    expect(alert).not.toHaveTextContent("API key");
  });
});
