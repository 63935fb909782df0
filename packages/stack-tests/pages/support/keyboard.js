import { contrastOfOutline } from "./contrast.js";

/** More tab stops than any page has. */
const MAX_STOPS = 60;

/** Presses Tab until `target` has the focus. Every stop on the way must have a visible focus indicator. */
export async function tabTo(page, target) {
  const stops = [];
  for (let count = 0; count < MAX_STOPS; count += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      return element === document.body
        ? ""
        : (element.getAttribute("aria-label") ?? element.textContent).trim() || element.id;
    });
    stops.push(stop || "(browser UI)");
    if (stop) await checkFocus(page, stop);
    if (await target.evaluate((element) => element === document.activeElement)) return;
  }
  throw new Error(`Tab never reaches ${target}; stops: ${stops.join(" → ")}`);
}

async function checkFocus(page, stop) {
  const { width, ratio } = await page.evaluate(contrastOfOutline);
  if (width < 2) throw new Error(`no visible focus on “${stop}”: its outline is ${width} px wide`);
  if (ratio < 3)
    throw new Error(`low contrast of the focus on “${stop}”: its outline has ${ratio.toFixed(2)} : 1, needs 3 : 1`);
}
