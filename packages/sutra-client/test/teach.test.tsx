import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { App } from "../src/App";
import { saveKey } from "../src/key/store";
import { textsOf } from "../src/teach/paragraphs";
import { Knowledge } from "./knowledge";
import { never, refusal, type SentRequest, sentTo, serve } from "./service";

beforeEach(() => {
  saveKey("secret-key", "tab");
  window.history.replaceState(null, "", "/teach");
});

const field = () => screen.getByLabelText("What Sutra should know");
const button = (name: string) => screen.getByRole("button", { name });
const learned = (seen: SentRequest[]) =>
  sentTo(seen, "/api/learn").map(({ body }) => (body as { texts: unknown[] }).texts);

/** A chapter of that many different paragraphs. */
function chapter(paragraphs: number) {
  return Array.from({ length: paragraphs }, (_, index) => `Paragraph number ${index + 1}.`).join("\n\n");
}

async function enter(text: string) {
  const user = userEvent.setup();
  render(<App />);
  await user.click(field());
  await user.paste(text);
  return user;
}

describe("teaching", () => {
  it("sends each paragraph as a text, shows the count and clears the input", async () => {
    const seen = serve();
    const user = await enter("First.\n\nSecond,\nwith a second line.\n");
    expect(screen.getByText(/2 texts/)).toBeVisible();
    await user.click(button("Teach"));
    expect(await screen.findByText("Sutra has learned 2 texts.")).toBeVisible();
    expect(sentTo(seen, "/api/learn")).toMatchObject([
      { key: "Bearer secret-key", body: { texts: ["First.", "Second,\nwith a second line."] } },
    ]);
    await waitFor(() => expect(field()).toHaveValue(""));
    await waitFor(() => expect(field()).toHaveFocus());
  });

  it("sends everything as one text if selected, also by keyboard", async () => {
    const seen = serve();
    const user = await enter("First.\n\nSecond.");
    await user.click(screen.getByLabelText(/Each paragraph/));
    await user.click(field());
    await user.keyboard("{Control>}{Enter}{/Control}");
    expect(await screen.findByText("Sutra has learned 1 text.")).toBeVisible();
    expect(learned(seen)).toEqual([["First.\n\nSecond."]]);
  });

  it("sends title and source with each text, and keeps the source for the next one", async () => {
    const seen = serve();
    const user = await enter("First.\n\nSecond.");
    await user.type(screen.getByRole("textbox", { name: /^Title/ }), " Handbook ");
    await user.type(screen.getByRole("textbox", { name: /^Source/ }), "handbook.md");
    await user.click(button("Teach"));
    await screen.findByText("Sutra has learned 2 texts.");
    const origin = { title: "Handbook", source: "handbook.md" };
    expect(learned(seen)).toEqual([
      [
        { text: "First.", ...origin },
        { text: "Second.", ...origin },
      ],
    ]);
    await waitFor(() => expect(screen.getByRole("textbox", { name: /^Title/ })).toHaveValue(""));
    expect(screen.getByRole("textbox", { name: /^Source/ })).toHaveValue("handbook.md");
  });

  it("keeps the input if the service rejects it", async () => {
    serve({ "/api/learn": refusal(413, "payload_too_large", "The maximum is 64 texts.") });
    const user = await enter("First.");
    await user.click(button("Teach"));
    expect(await screen.findByRole("alert")).toHaveTextContent("The maximum is 64 texts.");
    expect(field()).toHaveValue("First.");
  });

  it("cannot send only white space", async () => {
    serve();
    await enter(" \n\n ");
    expect(button("Teach")).toBeDisabled();
  });
});

describe("a chapter", () => {
  it("is taught in batches within the limits of the service", async () => {
    const knowledge = new Knowledge({ max_texts: 32 });
    const seen = serve({}, knowledge);
    const user = await enter(chapter(70));
    await user.click(button("Teach"));
    expect(await screen.findByText("Sutra has learned 70 texts.")).toBeVisible();
    expect(learned(seen).map((texts) => texts.length)).toEqual([32, 32, 6]);
    expect(knowledge.texts.size).toBe(70);
  });

  it("is also split by the size of the body and of a text", async () => {
    const knowledge = new Knowledge({ max_body_bytes: 400, max_text_characters: 60 });
    const seen = serve({}, knowledge);
    const long = Array.from({ length: 20 }, (_, index) => `The sentence ${index} – with “ä” and “😀”.`).join(" ");
    const user = await enter(`${chapter(20)}\n\n${long}`);
    await user.click(button("Teach"));
    await screen.findByText(/Sutra has learned \d+ texts\./);
    expect(sentTo(seen, "/api/learn").length).toBeGreaterThan(3);
    const kept = [...knowledge.texts.values()].map(({ text }) => text);
    expect(kept.slice(20).join(" ")).toBe(long);
  });

  it("is taught once if a paragraph repeats", async () => {
    const seen = serve();
    const user = await enter("Same.\n\nOther.\n\nSame.");
    await user.click(button("Teach"));
    expect(await screen.findByText("Sutra has learned 2 texts.")).toBeVisible();
    expect(learned(seen)).toEqual([["Same.", "Other."]]);
  });

  it("reports how much is saved after an error, and goes on from there", async () => {
    const knowledge = new Knowledge({ max_texts: 30 });
    let isDown = false;
    const seen = serve(
      {
        "/api/learn": () => {
          if (isDown) return refusal(503, "storage_unavailable", "storage is down");
          isDown = knowledge.texts.size === 30;
          return undefined;
        },
      },
      knowledge,
    );
    const user = await enter(chapter(70));
    await user.click(button("Teach"));
    expect(await screen.findByRole("alert")).toHaveTextContent("the storage service is down");
    expect(screen.getByText(/60 of 70 texts are saved/)).toBeVisible();
    expect(field()).not.toHaveValue("");
    isDown = false;
    await user.click(button("Teach the rest"));
    expect(await screen.findByText("Sutra has learned 70 texts.")).toBeVisible();
    expect(screen.queryByRole("alert")).not.toBeInTheDocument();
    expect(learned(seen).map((texts) => texts.length)).toEqual([30, 30, 10, 10]);
    await waitFor(() => expect(field()).toHaveValue(""));
  });

  it("shows its progress and can be stopped and continued", async () => {
    const knowledge = new Knowledge({ max_texts: 30 });
    let isSlow = true;
    serve({ "/api/learn": () => (isSlow && knowledge.texts.size === 30 ? never : undefined) }, knowledge);
    const user = await enter(chapter(70));
    await user.click(button("Teach"));
    expect(await screen.findByText("30 of 70 texts saved")).toBeVisible();
    expect(screen.getByRole("progressbar")).toHaveAttribute("value", "30");
    expect(button("Teach")).toBeDisabled();
    await user.click(button("Stop"));
    expect(screen.getByText(/Stopped\. 30 of 70 texts are saved/)).toBeVisible();
    isSlow = false;
    await user.click(button("Teach the rest"));
    expect(await screen.findByText("Sutra has learned 70 texts.")).toBeVisible();
  });

  it("quotes the text that the service rejects, and starts again after a change", async () => {
    const knowledge = new Knowledge({ max_texts: 30 });
    const reply = refusal(422, "invalid_request", "body.texts[4]: too many combining marks in a row");
    const isBad = ({ body }: SentRequest) => JSON.stringify(body).includes("number 35.");
    serve({ "/api/learn": (request) => (isBad(request) ? reply : undefined) }, knowledge);
    const user = await enter(chapter(40));
    await user.click(button("Teach"));
    expect(await screen.findByRole("alert")).toHaveTextContent("starts with “Paragraph number 35.”");
    await user.type(field(), "x");
    await waitFor(() => expect(screen.queryByRole("alert")).not.toBeInTheDocument());
    expect(screen.queryByRole("button", { name: "Teach the rest" })).not.toBeInTheDocument();
  });

  it("is not sent if the limits are unknown", async () => {
    const seen = serve({ "/api/stats": { body: { edition: "simple", limits: { max_texts: 32 } } } });
    const user = await enter(chapter(2));
    await user.click(button("Teach"));
    expect(await screen.findByRole("alert")).toHaveTextContent("unexpected response");
    expect(sentTo(seen, "/api/learn")).toEqual([]);
  });
});

describe("textsOf", () => {
  it.each([
    ["a\n\nb", ["a", "b"]],
    ["a\r\n\r\nb\r\n", ["a", "b"]],
    ["a\n \t\n\n\nb", ["a", "b"]],
    ["a\nb", ["a\nb"]],
    ["\n\n", []],
  ])("splits %j at blank lines", (input, texts) => {
    expect(textsOf(input, true)).toEqual(texts);
  });
});
