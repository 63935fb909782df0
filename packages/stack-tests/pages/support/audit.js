import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { poorContrast } from "./contrast.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const WIDE = { width: 1280, height: 800 };
/** A small phone, and the minimum of WCAG: https://www.w3.org/WAI/WCAG22/Understanding/reflow */
const NARROW = [360, 320];

/** Audits the current view in light and dark mode, wide and narrow: axe rules, contrast and horizontal overflow. */
export async function audit(page, view) {
  const faults = await faultsOf(page);
  if (faults.length > 0) throw new Error(`${view} is not accessible:\n${faults.join("\n")}`);
}

/** The faults that `audit` reports. */
export async function faultsOf(page) {
  const faults = [];
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const width of NARROW) {
      await page.setViewportSize({ width, height: 740 });
      faults.push(...(await overflow(page)).map((fault) => `${colorScheme}, ${width} px: ${fault}`));
    }
    faults.push(...(await rules(page)).map((fault) => `${colorScheme}, narrow: ${fault}`));
    await page.setViewportSize(WIDE);
    faults.push(...(await rules(page)).map((fault) => `${colorScheme}, wide: ${fault}`));
    const { checked, faults: poor } = await page.evaluate(poorContrast);
    if (checked === 0) faults.push(`${colorScheme}: no text found on the page`);
    faults.push(...poor.map((fault) => `${colorScheme}: ${fault}`));
  }
  return faults;
}

async function rules(page) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  const violations = await page.evaluate(async (values) => {
    const { violations } = await window.axe.run(document, { runOnly: { type: "tag", values } });
    return violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map((node) => node.html).slice(0, 3) }));
  }, RULES);
  return violations.map(({ id, help, where }) => `${id}: ${help}: ${where.join(" ")}`);
}

function overflow(page) {
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth ? [`the page is ${scrollWidth} px wide in a ${clientWidth} px window`] : [];
  });
}
