/** Takes the two screenshots of the project's README from a running stack: `npm run pictures`. */

import { join } from "node:path";
import { launch } from "./support/browser.js";
import { API_KEY, OPERATOR, OUT, PASSWORD, URLS } from "./support/environment.js";

/** Width of a screenshot in pixels; wider pages are scaled down. */
const WIDTH = 900;
const TEXTS = [
  "Honey does not spoil: it holds so little water that bacteria cannot grow in it.",
  "Bees ripen honey by fanning it with their wings until less than a fifth of it is water.",
];

const browser = await launch();

async function screenshot(name, viewport, show) {
  const context = await browser.newContext({ viewport, deviceScaleFactor: WIDTH / viewport.width, locale: "en-GB" });
  const page = await context.newPage();
  await show(page);
  await page.mouse.move(0, 0);
  await page.screenshot({ path: join(OUT, `${name}.png`) });
  await context.close();
}

await screenshot("client", { width: 900, height: 780 }, async (page) => {
  await page.goto(URLS.get("client"));
  await page.getByRole("textbox", { name: "API key" }).fill(API_KEY);
  await page.getByRole("button", { name: "Use this key" }).click();
  await page.getByRole("link", { name: "Teach" }).click();
  await page.getByRole("textbox", { name: "What Sutra should know" }).fill(TEXTS.join("\n\n"));
  await page.getByRole("button", { name: "Teach", exact: true }).click();
  await page.getByText("Sutra has learned 2 texts.").waitFor();
  await page.getByRole("link", { name: "Ask" }).click();
  await page.getByRole("textbox", { name: "Your question" }).fill("Why does honey not spoil?");
  await page.getByRole("button", { name: "Ask", exact: true }).click();
  await page.getByRole("article").getByRole("button", { name: "Citation 1" }).click();
  // Wait until the notice disappears.
  await page.getByText("API key saved.").waitFor({ state: "detached" });
});

await screenshot("control", { width: 1240, height: 960 }, async (page) => {
  await page.goto(URLS.get("control"));
  await page.getByRole("textbox", { name: "Name" }).fill(OPERATOR);
  await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("All 8 services are up.").waitFor();
});

await browser.close();
