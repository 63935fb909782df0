import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { audit } from "../support/audit.js";
import { without } from "../support/engine.js";
import { API_KEY, URLS } from "../support/environment.js";
import { tabTo } from "../support/keyboard.js";
import { story } from "../support/visitor.js";

const CLIENT = URLS.get("client");
/** Names of the stack's Compose services. */
const HYBRID = "sutra-hybrid";
const API = "sutra-api";
/** What the first visit may cost, in bytes on the wire, and how many files that may be. */
const LIGHT = { bytes: 100_000, files: 4 };

/** A text that no other run has taught, and a question that only it answers. */
function something() {
  const name = `Lighthouse ${randomUUID().slice(0, 8)}`;
  return { text: `${name} has shone since 1874 and is painted in red and white.`, question: `What colour is ${name}?` };
}

const parts = (page) => ({
  key: page.getByRole("textbox", { name: "API key" }),
  useKey: page.getByRole("button", { name: "Use this key" }),
  alert: page.getByRole("alert"),
  teach: page.getByRole("link", { name: "Teach" }),
  ask: page.getByRole("link", { name: "Ask" }),
  text: page.getByRole("textbox", { name: "What Sutra should know" }),
  send: page.getByRole("button", { name: "Teach", exact: true }),
  question: page.getByRole("textbox", { name: "Your question" }),
  askNow: page.getByRole("button", { name: "Ask", exact: true }),
  answer: page.getByRole("article"),
  mark: page.getByRole("article").getByRole("button", { name: "Citation 1" }),
  cited: page.getByRole("article").getByRole("listitem").first(),
});

async function enter(page) {
  const { key, useKey, question } = parts(page);
  await page.goto(CLIENT);
  await key.fill(API_KEY);
  await useKey.click();
  await key.waitFor({ state: "hidden" });
  await question.waitFor();
}

async function teach(visitor, text) {
  const { teach, text: field, send, ask } = parts(visitor.page);
  await teach.click();
  await field.fill(text);
  await send.click();
  await visitor.sees("Sutra has learned 1 text.");
  await ask.click();
}

async function ask(page, question) {
  const { question: field, askNow } = parts(page);
  await field.fill(question);
  await askNow.click();
}

story("client: the first visit asks for the key, and a wrong one is refused in words", async (visitor) => {
  const { page } = visitor;
  const { key, useKey, alert } = parts(page);
  await visitor.step("is asked for the key", async () => {
    await page.goto(CLIENT);
    await visitor.sees("Whoever runs this service can give you one.");
    await audit(page, "the first visit");
  });
  await visitor.step("gives a wrong key", async () => {
    visitor.expectsError(/status of 401 .*\/api\/stats/);
    await key.fill("a-wrong-key");
    await useKey.click();
    await visitor.sees("Sutra does not accept this key.", alert);
    await visitor.sees("ask whoever runs this service for one", alert);
    assert.ok(await key.evaluate((field) => field === document.activeElement), "the focus is to be on the key again");
    assert.deepEqual(
      await page.evaluate(() => [sessionStorage.length, localStorage.length]),
      [0, 0],
      "nothing is kept",
    );
    await audit(page, "a refused key");
  });
});

story("client: the first visit is light, and everything comes from the page's own origin", async (visitor) => {
  const { page } = visitor;
  await visitor.step("loads the page", async () => {
    await page.goto(CLIENT);
    await visitor.seesThat(page.getByRole("heading", { name: "Ask a question" }), "the page's heading");
    const loaded = await page.evaluate(() =>
      [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter(({ initiatorType }) => initiatorType !== "fetch")
        .map(({ name, transferSize }) => ({ name, transferSize })),
    );
    const foreign = loaded.filter(({ name }) => !name.startsWith(`${CLIENT}/`));
    assert.deepEqual(foreign, [], "nothing comes from elsewhere");
    const bytes = loaded.reduce((sum, { transferSize }) => sum + transferSize, 0);
    assert.ok(loaded.length >= 3, `page, script and style were to be loaded, not only ${JSON.stringify(loaded)}`);
    assert.ok(
      loaded.length <= LIGHT.files,
      `at most ${LIGHT.files} files were to be loaded: ${JSON.stringify(loaded)}`,
    );
    assert.ok(bytes <= LIGHT.bytes, `${bytes} bytes came over the wire, and ${LIGHT.bytes} are allowed`);
  });
});

story("client: what is taught is what the answer rests on", async (visitor) => {
  const { page } = visitor;
  const { answer, mark, cited } = parts(page);
  const { text, question } = something();
  await visitor.step("gives the key", async () => {
    await enter(page);
    await audit(page, "the empty page for questions");
  });
  await visitor.step("teaches a text", async () => {
    await teach(visitor, text);
    await parts(page).teach.click();
    await audit(page, "the page for teaching, after a text");
    await parts(page).ask.click();
  });
  await visitor.step("asks a question and reads the answer", async () => {
    await ask(page, question);
    await visitor.seesThat(page.getByRole("heading", { name: question }), "the question above its answer");
    await visitor.sees("red and white", answer);
  });
  await visitor.step("reads the citation", async () => {
    await mark.click();
    await visitor.seesThat(cited.getByRole("blockquote"), "the cited text");
    assert.equal(
      await cited.getByRole("blockquote").innerText(),
      text,
      "the citation is to be the text that was taught",
    );
    await audit(page, "an answer with its citation");
  });
});

story("client: the keyboard alone is enough, and the focus always shows", async (visitor) => {
  const { page } = visitor;
  const { key, useKey, teach, text: field, send, ask, question: asked, answer, mark, cited } = parts(page);
  const { text, question } = something();
  await visitor.step("gives the key", async () => {
    await page.goto(CLIENT);
    await tabTo(page, key);
    await page.keyboard.insertText(API_KEY);
    await tabTo(page, useKey);
    await page.keyboard.press("Enter");
    await key.waitFor({ state: "hidden" });
  });
  await visitor.step("teaches a text", async () => {
    await tabTo(page, teach);
    await page.keyboard.press("Enter");
    await tabTo(page, field);
    await page.keyboard.insertText(text);
    await tabTo(page, send);
    await page.keyboard.press("Enter");
    await visitor.sees("Sutra has learned 1 text.");
  });
  await visitor.step("asks a question", async () => {
    await tabTo(page, ask);
    await page.keyboard.press("Enter");
    await tabTo(page, asked);
    await page.keyboard.insertText(question);
    await page.keyboard.press("Enter");
    await visitor.sees("red and white", answer);
  });
  await visitor.step("opens the citation, and goes back to its mark", async () => {
    await tabTo(page, mark);
    await page.keyboard.press("Enter");
    await visitor.seesThat(cited.getByRole("blockquote"), "the cited text");
    assert.equal(
      await cited.getByRole("blockquote").innerText(),
      text,
      "the citation is to be the text that was taught",
    );
    await page.keyboard.press("Escape");
    assert.ok(
      await mark.evaluate((button) => button === document.activeElement),
      "the focus is to be on the mark again",
    );
  });
});

story(
  "client: a part that is down is named, and the page goes on without a reload once it is back",
  async (visitor) => {
    const { page } = visitor;
    const { answer, alert } = parts(page);
    const { text, question } = something();
    await visitor.step("teaches a text while all is well", async () => {
      await enter(page);
      await teach(visitor, text);
      await page.evaluate(() => {
        window.isStillThis = true;
      });
    });
    await without(visitor, HYBRID, async () => {
      await visitor.step("asks while hybrid is stopped", async () => {
        visitor.expectsError(/status of 50[34] .*\/api\/query/);
        await ask(page, question);
        await visitor.sees(/Sutra cannot do this now: its service hybrid (is down|does not answer in time)\./, alert);
        await visitor.sees(/A part of Sutra is not well: hybrid/);
        await audit(page, "a question that a missing part refused");
      });
    });
    await visitor.step("asks again after hybrid's start", async () => {
      await parts(page).askNow.click();
      await visitor.sees("red and white", answer);
      await visitor.sees("Sutra is answering again.");
      assert.equal(await alert.count(), 0, "the error is gone");
      assert.ok(await page.evaluate(() => window.isStillThis), "the page was not loaded anew");
    });
  },
);

story("client: a silent Sutra is told, and its return by the page itself", async (visitor) => {
  const { page } = visitor;
  await visitor.step("gives the key", () => enter(page));
  await without(visitor, API, async () => {
    await visitor.step("asks while the api service is stopped", async () => {
      visitor.expectsError(/status of 50[24] .*\/api\/query/);
      visitor.expectsError(/status of 50[24] .*\/api\/health/);
      await ask(page, "Is anybody there?");
      await visitor.sees(/Sutra is not answering\. You can go on writing/);
      await visitor.sees(/its service api (is down|does not answer in time)/, parts(page).alert);
      assert.equal(await parts(page).question.inputValue(), "Is anybody there?", "what was typed is still there");
      await audit(page, "a silent Sutra");
    });
  });
  await visitor.step("does nothing after its start", () => visitor.sees("Sutra is answering again."));
});
