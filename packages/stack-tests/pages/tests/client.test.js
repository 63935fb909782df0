import assert from "node:assert/strict";
import { audit } from "../support/audit.js";
import { ask, CLIENT, elements, enter, teach, uniqueFact, uniqueName } from "../support/client.js";
import { without } from "../support/engine.js";
import { API_KEY } from "../support/environment.js";
import { tabTo } from "../support/keyboard.js";
import { story } from "../support/visitor.js";

/** Names of Compose services. */
const HYBRID = "sutra-hybrid";
const API = "sutra-api";
/** Limits of the first visit: transferred bytes and number of files. */
const FIRST_VISIT = { bytes: 100_000, files: 4 };

story("client: the first visit asks for the key and rejects a wrong one", async (visitor) => {
  const { page } = visitor;
  const { key, useKey, alert } = elements(page);
  await visitor.step("is asked for the key", async () => {
    await page.goto(CLIENT);
    await visitor.sees("Ask the administrator of this service for a key.");
    await audit(page, "the first visit");
  });
  await visitor.step("enters a wrong key", async () => {
    visitor.expectsError(/status of 401 .*\/api\/stats/);
    await key.fill("a-wrong-key");
    await useKey.click();
    await visitor.sees("Sutra rejected this API key.", alert);
    await visitor.sees("ask the administrator of this service for one", alert);
    assert.ok(await key.evaluate((field) => field === document.activeElement), "the key field must have the focus");
    assert.deepEqual(
      await page.evaluate(() => [sessionStorage.length, localStorage.length]),
      [0, 0],
      "no key is stored",
    );
    await audit(page, "a rejected key");
  });
});

story("client: the first visit is small and uses only its own origin", async (visitor) => {
  const { page } = visitor;
  await visitor.step("loads the page", async () => {
    await page.goto(CLIENT);
    await visitor.seesThat(page.getByRole("heading", { name: "Ask a question" }), "the page heading");
    const loaded = await page.evaluate(() =>
      [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .filter(({ initiatorType }) => initiatorType !== "fetch")
        .map(({ name, transferSize }) => ({ name, transferSize })),
    );
    const foreign = loaded.filter(({ name }) => !name.startsWith(`${CLIENT}/`));
    assert.deepEqual(foreign, [], "no requests to other origins");
    const bytes = loaded.reduce((sum, { transferSize }) => sum + transferSize, 0);
    assert.ok(loaded.length >= 3, `expected page, script and style, got ${JSON.stringify(loaded)}`);
    assert.ok(
      loaded.length <= FIRST_VISIT.files,
      `expected at most ${FIRST_VISIT.files} files, got ${JSON.stringify(loaded)}`,
    );
    assert.ok(bytes <= FIRST_VISIT.bytes, `${bytes} bytes transferred, the maximum is ${FIRST_VISIT.bytes}`);
  });
});

story("client: an answer cites the taught text", async (visitor) => {
  const { page } = visitor;
  const { answer, mark, cited } = elements(page);
  const { text, question } = uniqueFact();
  await visitor.step("enters the key", async () => {
    await enter(page);
    await audit(page, "the empty question page");
  });
  await visitor.step("teaches a text", async () => {
    await teach(visitor, text);
    await elements(page).teach.click();
    await audit(page, "the teaching page after a text");
    await elements(page).ask.click();
  });
  await visitor.step("asks a question and reads the answer", async () => {
    await ask(page, question);
    await visitor.seesThat(page.getByRole("heading", { name: question }), "the question above the answer");
    await visitor.sees("red and white", answer);
  });
  await visitor.step("reads the citation", async () => {
    await mark.click();
    await visitor.seesThat(cited.getByRole("blockquote"), "the cited text");
    assert.equal(await cited.getByRole("blockquote").innerText(), text, "the citation must be the taught text");
    await audit(page, "an answer with its citation");
  });
});

story("client: a citation shows the title and links to the source", async (visitor) => {
  const { page } = visitor;
  const { teach, text: field, textTitle, textSource, send, mark, cited } = elements(page);
  const { text, question } = uniqueFact();
  const source = `https://example.org/${uniqueName()}?page=7`;
  await visitor.step("teaches a text with a title and a source", async () => {
    await enter(page);
    await teach.click();
    await field.fill(text);
    await textTitle.fill("Lights of the coast");
    await textSource.fill(source);
    await send.click();
    await visitor.sees("Sutra has learned 1 text.");
  });
  await visitor.step("reads the citation", async () => {
    await elements(page).ask.click();
    await ask(page, question);
    await visitor.sees("Lights of the coast", cited);
    await mark.click();
    const link = cited.getByRole("link", { name: source });
    await visitor.seesThat(link, "a link to the source");
    assert.equal(await link.getAttribute("href"), source);
    assert.match(await link.getAttribute("rel"), /noopener/);
    await audit(page, "a citation with title and source");
  });
});

story("client: returns to an earlier answer, and forgets it with the key", async (visitor) => {
  const { page } = visitor;
  const { answer } = elements(page);
  const { text, question } = uniqueFact();
  await visitor.step("asks two questions", async () => {
    await enter(page);
    await teach(visitor, text);
    for (const asked of [question, "What is this about?"]) {
      await ask(page, asked);
      await visitor.seesThat(page.getByRole("heading", { name: asked }), "the question above the answer");
    }
  });
  await visitor.step("returns to the first answer", async () => {
    const heading = page.getByRole("heading", { name: question });
    await page.getByRole("button", { name: question }).click();
    await visitor.sees("red and white", answer);
    assert.ok(await heading.evaluate((title) => title === document.activeElement), "the question must have the focus");
    await audit(page, "the history");
  });
  await visitor.step("forgets the key", async () => {
    await page.getByRole("button", { name: "Forget key" }).click();
    await visitor.seesThat(elements(page).key, "the field for the key");
    assert.equal(await page.getByText(question).count(), 0, "the history is gone");
    assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0, "nothing is stored");
  });
});

story("client: works by keyboard with a visible focus", async (visitor) => {
  const { page } = visitor;
  const { key, useKey, teach, text: field, send, ask, question: asked, answer, mark, cited } = elements(page);
  const { text, question } = uniqueFact();
  await visitor.step("enters the key", async () => {
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
  await visitor.step("opens the citation and returns to its mark", async () => {
    await tabTo(page, mark);
    await page.keyboard.press("Enter");
    await visitor.seesThat(cited.getByRole("blockquote"), "the cited text");
    assert.equal(await cited.getByRole("blockquote").innerText(), text, "the citation must be the taught text");
    await page.keyboard.press("Escape");
    assert.ok(await mark.evaluate((button) => button === document.activeElement), "the mark must have the focus");
  });
});

story("client: shows a failed dependency and recovers without a reload", async (visitor) => {
  const { page } = visitor;
  const { answer, alert } = elements(page);
  const { text, question } = uniqueFact();
  await visitor.step("teaches a text while everything is up", async () => {
    await enter(page);
    await teach(visitor, text);
    await page.evaluate(() => {
      window.isSamePage = true;
    });
  });
  await without(visitor, HYBRID, async () => {
    await visitor.step("asks while hybrid is stopped", async () => {
      visitor.expectsError(/status of 50[34] .*\/api\/query/);
      await ask(page, question);
      await visitor.sees(
        /Sutra cannot do this right now: the hybrid service (is down|did not respond in time)\./,
        alert,
      );
      await visitor.sees(/Some services are unavailable: hybrid/);
      await audit(page, "a question that failed because of a dependency");
    });
  });
  await visitor.step("asks again after hybrid has restarted", async () => {
    await elements(page).askNow.click();
    await visitor.sees("red and white", answer);
    await visitor.sees("Sutra is responding again.");
    assert.equal(await alert.count(), 0, "the error is gone");
    assert.ok(await page.evaluate(() => window.isSamePage), "the page was not reloaded");
  });
});

story("client: shows an outage of the api service and its recovery", async (visitor) => {
  const { page } = visitor;
  await visitor.step("enters the key", () => enter(page));
  await without(visitor, API, async () => {
    await visitor.step("asks while the api service is stopped", async () => {
      visitor.expectsError(/status of 50[24] .*\/api\/query/);
      visitor.expectsError(/status of 50[24] .*\/api\/health/);
      await ask(page, "Is anybody there?");
      await visitor.sees(/Sutra is not responding\. You can keep typing/);
      await visitor.sees(/the api service (is down|did not respond in time)/, elements(page).alert);
      assert.equal(await elements(page).question.inputValue(), "Is anybody there?", "the input is kept");
      await audit(page, "an outage of the api service");
    });
  });
  await visitor.step("waits after the restart", () => visitor.sees("Sutra is responding again."));
});
