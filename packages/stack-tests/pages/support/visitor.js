import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { launch } from "./browser.js";
import { OUT, withoutSecrets } from "./environment.js";
import { PATIENCE } from "./until.js";

/** Milliseconds after which a whole story counts as stuck. */
const STUCK = 10 * PATIENCE;
/** Characters of a page that are told when something is not as expected. */
const TOLD = 1_200;

let browser;
after(() => browser?.close());

/** A test: what a person with a fresh browser does and sees. What fails is told with the page as it then was. */
export function story(name, body) {
  test(name, { timeout: STUCK }, async () => {
    browser ??= await launch();
    const context = await browser.newContext({ colorScheme: "light", reducedMotion: "reduce", locale: "en-GB" });
    const visitor = new Visitor(name, await context.newPage());
    try {
      await body(visitor);
      await visitor.step("looks at the browser's console", () => visitor.checkErrors());
    } finally {
      await context.close();
    }
  });
}

/** Somebody before a page. Remembers what the browser complained of. */
export class Visitor {
  #story;
  #errors = [];
  #expected = [];

  constructor(story, page) {
    this.#story = story;
    this.page = page;
    page.setDefaultTimeout(PATIENCE);
    page.on("pageerror", (error) => this.#errors.push(`uncaught: ${error.message}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) {
        this.#errors.push(`${message.type()}: ${message.text()} (${message.location().url})`);
      }
    });
  }

  /** Does `body`; a failure in it names this step, and is told with the page as it is at that moment. */
  async step(what, body) {
    try {
      await body();
    } catch (error) {
      throw await this.#explain(what, error);
    }
  }

  /** Waits until `text`, a string or a pattern, stands on the page, within `place` if given. */
  async sees(text, place = this.page) {
    await this.seesThat(place.getByText(text).filter({ visible: true }).first(), `the words ${text}`);
  }

  /** Waits until `locator` is visible. */
  async seesThat(locator, what) {
    try {
      await locator.waitFor();
    } catch (error) {
      throw new Error(`expected to see ${what}: ${error.message}`, { cause: error });
    }
  }

  /** The console is going to hold this complaint; one that then does not come is a failure too. */
  expectsError(pattern) {
    this.#expected.push(pattern);
  }

  /** Fails for complaints in the console that nobody expected, and for those that were expected and did not come. */
  checkErrors() {
    const surprising = this.#errors.filter((error) => !this.#expected.some((pattern) => pattern.test(error)));
    const missing = this.#expected.filter((pattern) => !this.#errors.some((error) => pattern.test(error)));
    const told = [...surprising.map((error) => `not expected: ${error}`), ...missing.map((it) => `missing: ${it}`)];
    if (told.length > 0) throw new Error(told.join("\n"));
  }

  /** A picture of the whole page, as NAME.png. */
  async picture(name) {
    await mkdir(OUT, { recursive: true });
    const path = join(OUT, `${name}.png`);
    await this.page.screenshot({ path, fullPage: true });
    return path;
  }

  /** `error` with the step it happened in, what stood on the page and where a picture of it is. */
  async #explain(step, error) {
    const picture = await this.picture(this.#story.toLowerCase().replace(/[^a-z0-9]+/g, "-")).catch(
      (cause) => `none: ${cause}`,
    );
    const text = await this.page.evaluate(() => document.body.innerText).catch((cause) => `nothing: ${cause}`);
    const told = [
      `step:        ${step}`,
      `what failed: ${indented(error.message)}`,
      `address:     ${this.page.url()}`,
      `on the page: ${indented(shortened(text))}`,
      `console:     ${indented(this.#errors.join("\n")) || "nothing"}`,
      `picture:     ${picture}`,
    ];
    const explained = new Error(withoutSecrets(told.join("\n")));
    explained.stack = withoutSecrets(error.stack ?? "");
    return explained;
  }
}

/** The lines of `text` one after the other, as far as somebody may want to read them. */
function shortened(text) {
  const line = text.split(/\s*\n\s*/).join(" / ");
  return line.length > TOLD ? `${line.slice(0, TOLD)} … (the picture has the rest)` : line;
}

function indented(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours that Playwright puts into its messages.
  return text.replace(/\u001b\[\d+m/g, "").replaceAll("\n", `\n${" ".repeat(13)}`);
}
