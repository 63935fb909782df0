import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";
import { App } from "../src/App";
import { saveKey } from "../src/key/store";
import { textsOf } from "../src/teach/paragraphs";
import { refusal, serve } from "./service";

beforeEach(() => {
  saveKey("secret-key", "tab");
  window.history.replaceState(null, "", "/teach");
});

function learnAll({ body }: { body: unknown }) {
  const { texts } = body as { texts: string[] };
  return { body: { learned: texts.length, ids: texts.map((_, index) => `id-${index}`) } };
}

async function enter(text: string) {
  const user = userEvent.setup();
  render(<App />);
  await user.click(screen.getByLabelText("What Sutra should know"));
  await user.paste(text);
  return user;
}

describe("teaching", () => {
  it("sends each paragraph as a text, shows the count and clears the input", async () => {
    const seen = serve({ "/api/learn": learnAll });
    const user = await enter("First.\n\nSecond,\nwith a second line.\n");
    expect(screen.getByText(/2 texts/)).toBeVisible();
    await user.click(screen.getByRole("button", { name: "Teach" }));
    expect(await screen.findByText("Sutra has learned 2 texts.")).toBeVisible();
    expect(seen.find(({ path }) => path === "/api/learn")).toEqual({
      path: "/api/learn",
      method: "POST",
      key: "Bearer secret-key",
      body: { texts: ["First.", "Second,\nwith a second line."] },
    });
    expect(screen.getByLabelText("What Sutra should know")).toHaveValue("");
    expect(screen.getByLabelText("What Sutra should know")).toHaveFocus();
  });

  it("sends everything as one text if selected, also by keyboard", async () => {
    const seen = serve({ "/api/learn": learnAll });
    const user = await enter("First.\n\nSecond.");
    await user.click(screen.getByLabelText(/Each paragraph/));
    await user.click(screen.getByLabelText("What Sutra should know"));
    await user.keyboard("{Control>}{Enter}{/Control}");
    expect(await screen.findByText("Sutra has learned 1 text.")).toBeVisible();
    expect(seen.find(({ path }) => path === "/api/learn")?.body).toEqual({ texts: ["First.\n\nSecond."] });
  });

  it("keeps the input if the service rejects it", async () => {
    serve({ "/api/learn": refusal(413, "payload_too_large", "The maximum is 64 texts.") });
    const user = await enter("First.");
    await user.click(screen.getByRole("button", { name: "Teach" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("The maximum is 64 texts.");
    expect(screen.getByLabelText("What Sutra should know")).toHaveValue("First.");
  });

  it("cannot send only white space", async () => {
    serve({});
    await enter(" \n\n ");
    expect(screen.getByRole("button", { name: "Teach" })).toBeDisabled();
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
