/**
 * Functions that run in the page. Each is self-contained, because only its source is transferred.
 * Contrast as WCAG 2 defines it: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
 */

/**
 * Returns every visible text, value and placeholder with a contrast below 4.5 : 1, or 3 : 1 if large (24 px, or bold and
 * 18.66 px). `checked` is the number of texts checked.
 */
export function poorContrast() {
  const faults = [];
  let checked = 0;

  function rgba(text) {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    // `color(srgb …)` uses the range 0 to 1.
    const scale = text.startsWith("color(") ? 255 : 1;
    return [r * scale, g * scale, b * scale, a];
  }
  function over([r, g, b, a], ground) {
    return [r, g, b].map((part, index) => part * a + ground[index] * (1 - a));
  }
  function luminance(colour) {
    const [r, g, b] = colour.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  }
  function grey([r, g, b]) {
    const part = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    return [part, part, part];
  }

  /** The effective colours of text and background, with layered backgrounds, opacity and filters. */
  function colours(element, colour) {
    const line = [];
    for (let at = element; at; at = at.parentElement) line.unshift(getComputedStyle(at));
    let ground = matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
    let opacity = 1;
    let filters = false;
    for (const style of line) {
      opacity *= Number(style.opacity);
      const [r, g, b, a] = rgba(style.backgroundColor);
      ground = over([r, g, b, a * opacity], ground);
      if (style.backgroundImage !== "none") faults.push(`background image behind “${element.textContent.trim()}”`);
      if (style.filter === "grayscale(1)") filters = true;
      else if (style.filter !== "none") faults.push(`unsupported filter: ${style.filter}`);
    }
    const [r, g, b, a] = rgba(colour);
    const text = over([r, g, b, a * opacity], ground);
    return filters ? [grey(text), grey(ground)] : [text, ground];
  }
  function isVisible(element, rects) {
    if (!element.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true })) return false;
    // Text for assistive technology only is one pixel large and clipped.
    if (element.closest(".visually-hidden")) return false;
    return [...rects].some((rect) => rect.width > 1 && rect.height > 1);
  }
  function check(element, words, style) {
    checked += 1;
    const [lighter, darker] = colours(element, style.color)
      .map(luminance)
      .sort((a, b) => b - a);
    const ratio = (lighter + 0.05) / (darker + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < needed) faults.push(`“${words.trim().slice(0, 60)}” has ${ratio.toFixed(2)} : 1, needs ${needed} : 1`);
  }

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === "" || ["SCRIPT", "STYLE", "NOSCRIPT", "OPTION"].includes(element.tagName)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    if (isVisible(element, range.getClientRects())) check(element, node.data, getComputedStyle(element));
  }
  for (const field of document.querySelectorAll("input, textarea, select")) {
    if (["checkbox", "radio"].includes(field.type) || !isVisible(field, field.getClientRects())) continue;
    if (field.value) check(field, field.type === "password" ? "a password" : field.value, getComputedStyle(field));
    else if (field.placeholder) check(field, field.placeholder, getComputedStyle(field, "::placeholder"));
  }
  return { checked, faults: [...new Set(faults)] };
}

/** The outline of the focused element: its width in pixels and its contrast with the background. */
export function contrastOfOutline() {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const width = style.outlineStyle === "none" ? 0 : Number.parseFloat(style.outlineWidth);
  let ground = "rgb(255, 255, 255)";
  for (let at = element.parentElement; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!colour.endsWith(", 0)")) {
      ground = colour;
      break;
    }
  }
  const [lighter, darker] = [style.outlineColor, ground]
    .map((colour) => {
      const [r, g, b] = colour.match(/[\d.]+/g).map((part) => {
        const share = Number(part) / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    })
    .sort((a, b) => b - a);
  return { width, ratio: (lighter + 0.05) / (darker + 0.05) };
}
