import { render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { App } from "../src/App";
import { saveKey } from "../src/key/store";
import { serve } from "./service";

beforeEach(() => {
  saveKey("secret-key", "tab");
});

/** Asks a question whose answer has one citation, and opens it. */
async function openCitation(citation: { text?: string; source?: string; title?: string }) {
  const citations = [{ id: "a", text: "Water boils.", score: 0.9, number: 1, ...citation }];
  serve({ "/api/query": { body: { answer: "It boils [1].", citations } } });
  const user = userEvent.setup();
  render(<App />);
  await user.type(screen.getByLabelText("Your question"), "When?{Enter}");
  const mark = await screen.findByRole("button", { name: "Citation 1" });
  const card = within(screen.getByRole("article")).getByRole("listitem");
  const closed = card.textContent;
  await user.click(mark);
  return { card, closed };
}

describe("the source of a citation", () => {
  it("is shown with its title, also while closed", async () => {
    const { card, closed } = await openCitation({ source: "handbook.md", title: "Water, from ice to steam" });
    expect(closed).toContain("Water, from ice to steam · handbook.md");
    expect(within(card).getByText("Water, from ice to steam")).toBeVisible();
    expect(within(card).getByText("handbook.md")).toBeVisible();
    expect(within(card).queryByRole("link")).not.toBeInTheDocument();
  });

  it("is a safe link if it is a web address; the title never is", async () => {
    const { card } = await openCitation({ source: "https://example.org/a?b=c", title: "http://title.example" });
    const [link, ...others] = within(card).getAllByRole("link");
    expect(link).toHaveAttribute("href", "https://example.org/a?b=c");
    expect(link).toHaveAttribute("rel", expect.stringContaining("noopener"));
    expect(link).toHaveAttribute("target", "_blank");
    expect(others).toEqual([]);
  });

  it.each([
    "javascript:alert(1)",
    " javascript:alert(1)",
    "JAVASCRIPT:alert(1)//https://example.org",
    "data:text/html,x",
    "file:///etc/passwd",
    "//example.org",
    "https://",
    "https://exa mple.org",
    "see https://example.org",
  ])("is plain text otherwise: %s", async (source) => {
    const { card } = await openCitation({ source });
    expect(within(card).getByText(source.trim())).toBeVisible();
    expect(within(card).queryByRole("link")).not.toBeInTheDocument();
  });

  it("is left out if there is none", async () => {
    const { card } = await openCitation({});
    expect(card).not.toHaveTextContent("Source");
  });
});

describe("the passages of a citation", () => {
  it("are separate paragraphs, with a mark where text is left out", async () => {
    const { card } = await openCitation({ text: "It is hot.\nIt boils. … In La Paz it is 88 °C." });
    const passages = [...card.querySelectorAll("blockquote p")].map((passage) => passage.textContent);
    expect(passages).toEqual(["It is hot.\nIt boils.", "… In La Paz it is 88 °C."]);
  });

  it("are the text itself if there is one", async () => {
    const { card } = await openCitation({ text: "It boils… or not." });
    expect(card.querySelector("blockquote")).toHaveTextContent(/^It boils… or not\.$/);
  });
});
