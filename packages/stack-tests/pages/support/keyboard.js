import { contrastOfOutline } from "./contrast.js";

/** More stops than any of the pages has. */
const MOST = 60;

/** Presses Tab until the focus is on `target`; every stop on the way has to show that it has the focus. */
export async function tabTo(page, target) {
  const stops = [];
  for (let count = 0; count < MOST; count += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      return element === document.body
        ? ""
        : (element.getAttribute("aria-label") ?? element.textContent).trim() || element.id;
    });
    stops.push(stop || "(the browser itself)");
    if (stop) await checkFocus(page, stop);
    if (await target.evaluate((element) => element === document.activeElement)) return;
  }
  throw new Error(`Tab never comes to ${target}; it came to ${stops.join(" → ")}`);
}

async function checkFocus(page, stop) {
  const { width, ratio } = await page.evaluate(contrastOfOutline);
  if (width < 2) throw new Error(`nothing shows that the focus is on “${stop}”: its outline is ${width} px wide`);
  if (ratio < 3)
    throw new Error(`the focus on “${stop}” hardly shows: its outline's contrast is ${ratio.toFixed(2)}, not 3`);
}
