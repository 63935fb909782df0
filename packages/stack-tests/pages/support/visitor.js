import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { launch } from "./browser.js";
import { OUT, withoutSecrets } from "./environment.js";
import { TIMEOUT } from "./until.js";

/** Timeout of a whole story, in milliseconds. */
const STORY_TIMEOUT = 10 * TIMEOUT;
/** Maximum number of characters of the page text in a failure report. */
const MAX_TEXT = 1_200;

let browser;
after(() => browser?.close());

/** A test with a new browser context. A failure is reported with the state of the page. */
export function story(name, body) {
  test(name, { timeout: STORY_TIMEOUT }, async () => {
    browser ??= await launch();
    const context = await browser.newContext({ colorScheme: "light", reducedMotion: "reduce", locale: "en-GB" });
    const visitor = new Visitor(name, await context.newPage());
    try {
      await body(visitor);
      await visitor.step("checks the browser console", () => visitor.checkErrors());
    } finally {
      await context.close();
    }
  });
}

/** A user of a page. Collects the errors and warnings of the browser console. */
export class Visitor {
  #story;
  #errors = [];
  #expected = [];

  constructor(story, page) {
    this.#story = story;
    this.page = page;
    page.setDefaultTimeout(TIMEOUT);
    page.on("pageerror", (error) => this.#errors.push(`uncaught: ${error.message}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) {
        this.#errors.push(`${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
  }

  /** Runs `body`. A failure is reported with the name of the step and the state of the page. */
  async step(what, body) {
    try {
      await body();
    } catch (error) {
      throw await this.#explain(what, error);
    }
  }

  /** Waits until `text`, a string or a regular expression, is visible in `place` (default: the page). */
  async sees(text, place = this.page) {
    await this.seesThat(place.getByText(text).filter({ visible: true }).first(), `the text ${text}`);
  }

  /** Waits until `locator` is visible. */
  async seesThat(locator, what) {
    try {
      await locator.waitFor();
    } catch (error) {
      throw new Error(`expected to see ${what}: ${error.message}`, { cause: error });
    }
  }

  /** Expects a console message that matches `pattern`; the story fails if it does not appear. */
  expectsError(pattern) {
    this.#expected.push(pattern);
  }

  /** Fails for unexpected console messages and for expected ones that are missing. */
  checkErrors() {
    const unexpected = this.#errors.filter((error) => !this.#expected.some((pattern) => pattern.test(error)));
    const missing = this.#expected.filter((pattern) => !this.#errors.some((error) => pattern.test(error)));
    const problems = [...unexpected.map((error) => `unexpected: ${error}`), ...missing.map((it) => `missing: ${it}`)];
    if (problems.length > 0) throw new Error(problems.join("\n"));
  }

  /** Takes a screenshot of the whole page as NAME.png. */
  async screenshot(name) {
    await mkdir(OUT, { recursive: true });
    const path = join(OUT, `${name}.png`);
    await this.page.screenshot({ path, fullPage: true });
    return path;
  }

  /** Adds the step, the page text and the path of a screenshot to `error`. */
  async #explain(step, error) {
    const screenshot = await this.screenshot(this.#story.toLowerCase().replace(/[^a-z0-9]+/g, "-")).catch(
      (cause) => `failed: ${cause}`,
    );
    const text = await this.page.evaluate(() => document.body.innerText).catch((cause) => `unavailable: ${cause}`);
    const lines = [
      `step:        ${step}`,
      `failure:     ${indented(error.message)}`,
      `URL:         ${this.page.url()}`,
      `page text:   ${indented(shortened(text))}`,
      `console:     ${indented(this.#errors.join("\n")) || "empty"}`,
      `screenshot:  ${screenshot}`,
    ];
    const explained = new Error(withoutSecrets(lines.join("\n")));
    explained.stack = withoutSecrets(error.stack ?? "");
    return explained;
  }
}

/** `text` on one line, shortened. */
function shortened(text) {
  const line = text.split(/\s*\n\s*/).join(" / ");
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)} … (see the screenshot)` : line;
}

function indented(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ANSI colours in the messages of Playwright.
  return text.replace(/\u001b\[\d+m/g, "").replaceAll("\n", `\n${" ".repeat(13)}`);
}
