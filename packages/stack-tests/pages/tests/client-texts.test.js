import assert from "node:assert/strict";
import { audit } from "../support/audit.js";
import { ask, CLIENT, capabilities, elements, enter, teach, uniqueFact, uniqueName } from "../support/client.js";
import { story } from "../support/visitor.js";

story("client: a chapter of 45 paragraphs is taught, listed and deleted by its source", async (visitor) => {
  const { page } = visitor;
  const { teach, text: field, textSource, send, texts, filter, taught, confirmation, answer } = elements(page);
  const name = uniqueName();
  const source = `chapter ${name}`;
  const paragraphs = Array.from({ length: 45 }, (_, index) => `Keeper ${name} lit lamp ${index + 1} in the evening.`);
  await visitor.step("pastes the chapter", async () => {
    await enter(page);
    await teach.click();
    await field.fill(paragraphs.join("\n\n"));
    await textSource.fill(source);
    await send.click();
    await visitor.sees("Sutra has learned 45 texts.");
  });
  await visitor.step("lists its texts", async () => {
    await texts.click();
    await filter.selectOption(source);
    for (const count of [20, 40]) {
      await visitor.seesThat(taught.nth(count - 1), `${count} texts`);
      assert.equal(await taught.count(), count, "the list comes part by part");
      await page.getByRole("button", { name: "Show more texts" }).click();
    }
    await visitor.seesThat(taught.nth(44), "45 texts");
    const shown = (await taught.allInnerTexts()).map((text) => text.split("\n")[0]);
    assert.deepEqual(shown.toSorted(), paragraphs.toSorted(), "the list must hold each paragraph once");
    await audit(page, "the taught texts");
  });
  await visitor.step("deletes them after a confirmation", async () => {
    await page.getByRole("button", { name: "Delete all from this source" }).click();
    await visitor.sees(`45 passages from “${source}” will be deleted`, confirmation);
    await audit(page, "the confirmation of a deletion");
    await confirmation.getByRole("button", { name: "Delete all" }).click();
    await visitor.sees(`Deleted 45 passages from “${source}”.`);
  });
  await visitor.step("is not answered from them any more", async () => {
    await elements(page).ask.click();
    await ask(page, `What did keeper ${name} light?`);
    await answer.waitFor();
    assert.ok(!(await answer.innerText()).includes(`Keeper ${name}`), "a deleted text must not be cited");
  });
});

story("client: a text file is one citation, shown as a whole and deleted", async (visitor) => {
  const { page } = visitor;
  const { teach, files, sent, mark, cited, answer, texts, filter, taught, confirmation } = elements(page);
  const { text, question } = uniqueFact();
  const file = `${uniqueName()}.md`;
  const sentences = Array.from(
    { length: 90 },
    (_, index) => `In year ${index + 1} the keepers cleaned its lamp and wrote a report.`,
  );
  const whole = [text, ...sentences].join(" ");
  await visitor.step("chooses the file", async () => {
    await enter(page);
    await teach.click();
    await files.setInputFiles({ name: file, mimeType: "text/markdown", buffer: Buffer.from(whole) });
    await visitor.sees("Sutra has learned 1 text.", sent);
    await audit(page, "a taught file");
  });
  await visitor.step("asks about it", async () => {
    await elements(page).ask.click();
    await ask(page, question);
    await mark.click();
    await visitor.sees(file, cited);
    await visitor.sees(text, cited.getByRole("blockquote"));
    const sources = await answer.getByRole("listitem").allInnerTexts();
    assert.equal(sources.filter((one) => one.includes(file)).length, 1, "passages of one text are one citation");
  });
  await visitor.step("reads it as a whole", async () => {
    await texts.click();
    await filter.selectOption(file);
    await visitor.sees(/\d passages/, taught);
    await taught.getByRole("button", { name: /^Show whole text/ }).click();
    await visitor.sees("In year 90 the keepers", taught);
    assert.ok((await taught.innerText()).includes(whole), "the passages must make the text again");
  });
  await visitor.step("deletes it", async () => {
    await taught.getByRole("button", { name: /^Delete/ }).click();
    await visitor.sees(/all its \d+ passages will be deleted/, confirmation);
    await confirmation.getByRole("button", { name: "Delete text" }).click();
    await visitor.sees(/^Deleted “Lighthouse/);
    await visitor.sees("No texts from this source.");
  });
});

story("client: uploaded files are taught, and their bad lines are listed", async (visitor) => {
  const { page } = visitor;
  const { teach, files, sent, mark, cited } = elements(page);
  const [first, second] = [uniqueFact(), uniqueFact()];
  const name = uniqueName();
  const lines = [JSON.stringify({ text: first.text }), "{not JSON", JSON.stringify({ title: `No text ${name}` })];
  const csv = `title,text,source\nLights,"${second.text}",list of ${name}\n`;
  await visitor.step("chooses two files", async () => {
    await enter(page);
    await teach.click();
    await files.setInputFiles([
      { name: `${name}.jsonl`, mimeType: "", buffer: Buffer.from(lines.join("\n")) },
      { name: `${name}.csv`, mimeType: "text/csv", buffer: Buffer.from(csv) },
    ]);
    for (const file of [sent.first(), sent.last()])
      await visitor.sees("Sutra has learned 1 text from this file.", file);
  });
  await visitor.step("reads the bad lines", async () => {
    await sent.first().getByText("2 lines could not be taught").click();
    await visitor.sees(/^Line 2: ./, sent.first());
    await visitor.sees(/^Line 3: ./, sent.first());
    assert.equal(
      await sent
        .last()
        .getByText(/could not be taught/)
        .count(),
      0,
      "the CSV file has no bad lines",
    );
    await audit(page, "uploaded files with bad lines");
  });
  await visitor.step("asks about both", async () => {
    await elements(page).ask.click();
    for (const [{ question }, source] of [
      [first, `${name}.jsonl`],
      [second, `list of ${name}`],
    ]) {
      await ask(page, question);
      await visitor.seesThat(page.getByRole("heading", { name: question }), "the question above the answer");
      await mark.click();
      await visitor.sees(source, cited);
    }
  });
});

story("client: offers topics and corrected questions where the edition has them", async (visitor) => {
  const { page } = visitor;
  const { topics, answer } = elements(page);
  const has = await capabilities();
  const { text, question } = uniqueFact();
  await visitor.step("teaches a text", async () => {
    await enter(page);
    await teach(visitor, text);
  });
  await visitor.step("looks for topics", async () => {
    if (has.includes("topics")) {
      await topics.click();
      await page.getByRole("textbox", { name: "A question or a subject" }).fill(question);
      await page.keyboard.press("Enter");
      await visitor.sees(text, page.locator("section:visible"));
    } else {
      assert.equal(await topics.count(), 0, "the link to topics must be missing");
      await page.goto(`${CLIENT}/topics`);
      await visitor.sees("Topics are not available in this edition.");
    }
    await audit(page, "topics");
    await elements(page).ask.click();
  });
  await visitor.step("asks with a typing error", async () => {
    await ask(page, question.replace("Lighthouse", "Lighthuose"));
    await visitor.seesThat(answer, "an answer");
    const corrected = question.replace("Lighthouse", "lighthouse");
    if (has.includes("typo-tolerance")) {
      await visitor.sees(`Did you mean “${corrected}”?`, answer);
      await audit(page, "a corrected question");
      await page.getByRole("button", { name: "Ask this instead" }).click();
      await visitor.seesThat(page.getByRole("heading", { name: corrected, exact: true }), "the corrected question");
    }
    assert.equal(await answer.getByText("Did you mean").count(), 0, "nothing is left to correct");
  });
});
