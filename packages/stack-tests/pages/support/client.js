import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { API_KEY, URLS } from "./environment.js";

export const CLIENT = URLS.get("client");

/** The name of something that no other test knows. */
export function uniqueName() {
  return randomUUID().slice(0, 8);
}

/** A unique text, and a question that only this text answers. */
export function uniqueFact() {
  const name = `Lighthouse ${uniqueName()}`;
  return { text: `${name} has shone since 1874 and is painted in red and white.`, question: `What colour is ${name}?` };
}

/** What the edition of the running stack can do. */
export async function capabilities() {
  const response = await fetch(`${CLIENT}/api/capabilities`, { headers: { Authorization: `Bearer ${API_KEY}` } });
  assert.equal(response.status, 200, "the capabilities must be readable");
  return (await response.json()).capabilities;
}

export const elements = (page) => ({
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
  texts: page.getByRole("link", { name: "Texts" }),
  topics: page.getByRole("link", { name: "Topics" }),
  textTitle: page.getByRole("textbox", { name: "Title" }),
  textSource: page.getByRole("textbox", { name: "Source" }),
  files: page.getByLabel("Choose files or drop them here"),
  sent: page.getByRole("list", { name: "Files" }).getByRole("listitem"),
  filter: page.getByRole("combobox", { name: "Source" }),
  taught: page.getByRole("list", { name: "Taught texts" }).getByRole("listitem"),
  confirmation: page.getByRole("alertdialog"),
});

export async function enter(page) {
  const { key, useKey, question } = elements(page);
  await page.goto(CLIENT);
  await key.fill(API_KEY);
  await useKey.click();
  await key.waitFor({ state: "hidden" });
  await question.waitFor();
}

export async function teach(visitor, text) {
  const { teach, text: field, send, ask } = elements(visitor.page);
  await teach.click();
  await field.fill(text);
  await send.click();
  await visitor.sees("Sutra has learned 1 text.");
  await ask.click();
}

export async function ask(page, question) {
  const { question: field, askNow } = elements(page);
  await field.fill(question);
  await askNow.click();
}
