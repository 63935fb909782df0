import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { audit } from "../support/audit.js";
import { elements, openView, signIn } from "../support/control.js";
import { URLS } from "../support/environment.js";
import { json } from "../support/json.js";
import { until } from "../support/until.js";
import { story } from "../support/visitor.js";

const HYBRID = URLS.get("hybrid");

/** Teaches texts and returns their ids. */
async function learn(texts) {
  const { ids } = await json(`${HYBRID}/learn`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ texts }),
  });
  return ids;
}

/** The HTTP status of a text. */
async function statusOf(id) {
  const response = await fetch(`${HYBRID}/concepts/${id}`);
  await response.body?.cancel();
  return response.status;
}

story("control: shows what was taught and deletes it after a confirmation", async (visitor) => {
  const { page } = visitor;
  const { question, cards } = elements(page);
  const source = `logbook-${randomUUID().slice(0, 8)}.md`;
  const title = `Logbook of ${source}`;
  const card = page.getByRole("article", { name: title });
  // More than the model reads at once, so it is stored as passages.
  const sentences = Array.from(
    { length: 80 },
    (_, day) => `On day ${day + 1} the keeper of ${source} cleaned the lamp.`,
  );
  let ids;
  await visitor.step("teaches a long and a short text", async () => {
    ids = await learn([
      { text: sentences.join(" "), source, title, metadata: { language: "en" } },
      { text: `The keeper of ${source} owns a red boat.`, source },
    ]);
  });
  await visitor.step("opens the source", async () => {
    await signIn(page);
    await openView(page, "Concepts");
    const select = page.getByRole("combobox", { name: "Source" });
    await select.locator("option", { hasText: source }).waitFor({ state: "attached" });
    await select.selectOption(source);
    await card.waitFor();
    await until("only this source to be shown", async () => (await cards.count()) === 2);
    await visitor.sees(/\d+ passages/, card);
  });
  await visitor.step("reads the whole text", async () => {
    await page.getByRole("button", { name: `Show whole text of ${title}` }).click();
    await visitor.sees(sentences.at(-1), card);
    await visitor.sees("language", card);
    assert.ok((await card.innerText()).includes(sentences.join(" ")), "the text must be complete and in order");
    await audit(page, "a whole text");
  });
  await visitor.step("deletes the text", async () => {
    await page.getByRole("button", { name: `Delete ${title}` }).click();
    await visitor.sees(/with all its \d+ passages/, question);
    await audit(page, "the question whether to delete a text");
    assert.equal(await statusOf(ids[0]), 200, "nothing is deleted before the confirmation");
    await page.getByRole("button", { name: "Delete the text" }).click();
    await visitor.sees(/^Deleted: /);
    await card.waitFor({ state: "detached" });
    assert.deepEqual([await statusOf(ids[0]), await statusOf(ids[1])], [404, 200], "only this text is deleted");
  });
  await visitor.step("deletes the source", async () => {
    await page.getByRole("button", { name: "Delete this source" }).click();
    await visitor.sees(/^This deletes 1 concept /, question);
    await page.getByRole("button", { name: "Delete the source" }).click();
    await visitor.sees(`Deleted 1 concept from ${source}.`);
    assert.equal(await statusOf(ids[1]), 404);
    const { concepts } = await json(`${HYBRID}/concepts?source=${encodeURIComponent(source)}`);
    assert.deepEqual(concepts, []);
  });
});
