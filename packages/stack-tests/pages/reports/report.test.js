import assert from "node:assert/strict";
import { join } from "node:path";
import { audit } from "../support/audit.js";
import { launch } from "../support/browser.js";
import { OUT } from "../support/environment.js";
import { tabTo } from "../support/keyboard.js";
import { story } from "../support/visitor.js";

/** A page that `cargo xtask report` made of a record with three editions. */
const PAGE = `file://${process.env.REPORT ?? "/report.html"}`;

async function open(visitor) {
  const { page } = visitor;
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await visitor.step("opens the report", () => page.goto(PAGE));
  return { page, asked };
}

story("report: one file that asks for nothing", async (visitor) => {
  const { page, asked } = await open(visitor);
  await visitor.step("looks around", async () => {
    await page.getByRole("heading", { name: "What was promised" }).waitFor();
    await page.getByRole("heading", { name: "Accepted sizes" }).waitFor();
    assert.deepEqual(
      asked.filter((url) => url !== PAGE && !url.startsWith("data:")),
      [],
    );
    assert.equal(await page.locator(".map").first().locator("li").first().isVisible(), true);
  });
});

story("report: editions and maps go by keyboard", async (visitor) => {
  const { page } = await open(visitor);
  const tab = (name) => page.getByRole("tab", { name });
  await visitor.step("goes to the next edition", async () => {
    await tabTo(page, tab("simple"));
    assert.equal(await page.getByRole("tabpanel", { name: "community" }).isVisible(), false);
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.getByRole("tabpanel", { name: "community" }).isVisible(), true);
    assert.equal(await page.getByRole("tabpanel", { name: "simple" }).isVisible(), false);
    assert.equal(await tab("community").getAttribute("aria-selected"), "true");
    await page.keyboard.press("Home");
    assert.equal(await page.getByRole("tabpanel", { name: "simple" }).isVisible(), true);
  });
  await visitor.step("goes through a map", async () => {
    const map = page.getByRole("tabpanel", { name: "simple" }).locator(".map").first();
    const cells = map.locator("li");
    await tabTo(page, cells.first());
    const said = page.locator(`#${await map.getAttribute("aria-describedby")}`);
    assert.equal(await said.textContent(), await cells.first().getAttribute("title"));
    await page.keyboard.press("ArrowRight");
    assert.equal(await said.textContent(), await cells.nth(1).getAttribute("title"));
    await page.keyboard.press("End");
    assert.equal(await said.textContent(), await cells.last().getAttribute("title"));
    assert.equal(await map.locator('li[tabindex="0"]').count(), 1, "one stop a map");
  });
});

story("report: for everybody, light and dark, on a telephone", async (visitor) => {
  const { page } = await open(visitor);
  await visitor.step("looks at everything that can be opened", async () => {
    for (const details of await page.locator("details").all()) await details.evaluate((element) => (element.open = true));
    await audit(page, "the report");
  });
  await visitor.step("takes pictures", async () => {
    await page.reload();
    for (const [name, colorScheme, width] of [
      ["report-light", "light", 1280],
      ["report-dark", "dark", 1280],
      ["report-telephone", "light", 390],
    ]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      await visitor.picture(name);
    }
  });
});

story("report: on paper", async (visitor) => {
  const { page } = await open(visitor);
  await visitor.step("prints it", async () => {
    await page.emulateMedia({ media: "print" });
    assert.equal(await page.getByRole("tablist").isVisible(), false, "tabs cannot be pressed on paper");
    const paper = await page.pdf({ path: join(OUT, "report.pdf"), format: "A4", printBackground: false });
    assert.ok(paper.length > 10_000, `${paper.length} bytes`);
  });
});

story("report: without scripts every edition is shown", async (visitor) => {
  await visitor.step("opens it without scripts", async () => {
    const browser = await launch();
    try {
      const page = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
      await page.goto(PAGE);
      assert.equal(await page.locator(".panel").count(), 3);
      for (const panel of await page.locator(".panel").all()) assert.equal(await panel.isVisible(), true);
    } finally {
      await browser.close();
    }
  });
});
