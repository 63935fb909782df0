import assert from "node:assert/strict";
import { audit } from "../support/audit.js";
import { without } from "../support/engine.js";
import { OPERATOR, PASSWORD, URLS } from "../support/environment.js";
import { tabTo } from "../support/keyboard.js";
import { until } from "../support/until.js";
import { story } from "../support/visitor.js";

const CONTROL = URLS.get("control");
/** Names of the stack's Compose services. */
const STORAGE = "storage-server";
const ITSELF = "sutra-control";
const ALL_UP = "All 8 services are up.";

const parts = (page) => ({
  name: page.getByRole("textbox", { name: "Name" }),
  password: page.getByRole("textbox", { name: "Password" }),
  enter: page.getByRole("button", { name: "Sign in" }),
  leave: page.getByRole("button", { name: "Sign out" }),
  alert: page.getByRole("alert"),
  cards: page.getByRole("article"),
  storage: page.getByRole("article", { name: "storage", exact: true }),
  concepts: page.getByRole("region", { name: "Concepts" }),
});

async function signIn(page, password = PASSWORD) {
  const { name, password: field, enter } = parts(page);
  await page.goto(CONTROL);
  await name.fill(OPERATOR);
  await field.fill(password);
  await enter.click();
}

/** A fact of a card, such as its version. */
const fact = (card, name) => card.getByRole("term").filter({ hasText: name }).locator("xpath=following-sibling::dd");

story("control: a wrong password is refused in words", async (visitor) => {
  const { page } = visitor;
  const { name, cards, alert } = parts(page);
  await visitor.step("opens the page", async () => {
    await page.goto(CONTROL);
    await name.waitFor();
    // Nobody has failed at anything yet: the console is to be silent until the sign-in.
    visitor.checkErrors();
    await audit(page, "the sign-in");
  });
  await visitor.step("gives a wrong password", async () => {
    visitor.expectsError(/status of 401 .*\/api\/session/);
    await signIn(page, "a wrong password");
    await visitor.sees(/The name or the password is wrong/, alert);
    assert.equal(await cards.count(), 0, "nothing of the services is shown");
    await audit(page, "a refused sign-in");
  });
});

story("control: all eight services are seen, each with its own version and edition", async (visitor) => {
  const { page } = visitor;
  const { cards } = parts(page);
  await visitor.step("signs in", async () => {
    await signIn(page);
    await visitor.sees(ALL_UP);
  });
  await visitor.step("compares what is shown with what each service says of itself", async () => {
    const shown = {};
    for (const card of await cards.all()) {
      shown[await card.getByRole("heading").innerText()] = {
        state: await card.locator(".pill").innerText(),
        version: await fact(card, "Version").innerText(),
        edition: await fact(card, "Edition").innerText(),
      };
    }
    const said = {};
    for (const [name, url] of URLS) {
      const { version, edition } = await (await fetch(`${url}/health`)).json();
      said[name] = { state: "up", version, edition };
    }
    assert.equal(URLS.size, 8, "the tests are to know where eight services are");
    assert.deepEqual(shown, said);
  });
  await visitor.step("opens address and limits of one", async () => {
    await page.getByText("Address and limits of hybrid").click();
    await visitor.sees("max texts");
    await audit(page, "the dashboard");
  });
});

story("control: the keyboard alone is enough, and the focus always shows", async (visitor) => {
  const { page } = visitor;
  const { name, password, enter, leave, storage, cards } = parts(page);
  await visitor.step("signs in", async () => {
    await page.goto(CONTROL);
    await name.waitFor();
    assert.ok(await name.evaluate((field) => field === document.activeElement), "the focus is to be on the name");
    await page.keyboard.insertText(OPERATOR);
    await tabTo(page, password);
    await page.keyboard.insertText(PASSWORD);
    await tabTo(page, enter);
    await page.keyboard.press("Enter");
    await visitor.sees(ALL_UP);
  });
  await visitor.step("opens address and limits of storage", async () => {
    await tabTo(page, storage.locator("summary"));
    await page.keyboard.press("Enter");
    await visitor.sees("Asked at", storage);
  });
  await visitor.step("signs out", async () => {
    await tabTo(page, leave);
    await page.keyboard.press("Enter");
    await name.waitFor();
    assert.equal(await cards.count(), 0, "nothing of the services is shown");
  });
});

story("control: a service that stops is named, and is up again after its start", async (visitor) => {
  const { page } = visitor;
  const { storage, concepts } = parts(page);
  await visitor.step("signs in", async () => {
    await signIn(page);
    await visitor.sees(ALL_UP);
    await visitor.sees("up", storage);
  });
  await without(visitor, STORAGE, async () => {
    await visitor.step("waits while storage is stopped", async () => {
      await visitor.sees(/1 of 8 services is not up: storage\./);
      await visitor.sees(/unreachable|no answer in time/, storage.locator(".pill"));
      await visitor.sees("not known", storage);
      await visitor.sees(/Not known: storage/, concepts);
      await until("the tab's title says how many are down", async () => (await page.title()) === "(1) Sutra control");
      await audit(page, "the dashboard with a service down");
    });
  });
  await visitor.step("waits after its start", async () => {
    await visitor.sees(ALL_UP);
    await visitor.sees("up", storage.locator(".pill"));
  });
});

story("control: after the sign-out nothing of the data is left", async (visitor) => {
  const { page } = visitor;
  const { leave, name, cards } = parts(page);
  await visitor.step("signs in and out", async () => {
    await signIn(page);
    await visitor.sees(ALL_UP);
    await leave.click();
    await name.waitFor();
    assert.equal(await cards.count(), 0, "nothing of the services is shown");
    assert.equal(await page.getByText(OPERATOR, { exact: true }).count(), 0, "the operator's name is gone");
    assert.deepEqual(await page.context().cookies(), [], "no cookie is left");
  });
  await visitor.step("goes away, back, and loads the page anew", async () => {
    await page.goto("about:blank");
    await page.goBack();
    await name.waitFor();
    await page.reload();
    await name.waitFor();
    assert.equal(await cards.count(), 0, "nothing of the services is shown");
  });
  await visitor.step("asks for the data itself", async () => {
    visitor.expectsError(/status of 401 .*\/api\/status/);
    assert.equal(await page.evaluate(async () => (await fetch("/api/status")).status), 401);
  });
});

story("control: when it is gone itself, the page says so and how old is what it shows", async (visitor) => {
  const { page } = visitor;
  const { alert, cards, name } = parts(page);
  await visitor.step("signs in", async () => {
    await signIn(page);
    await visitor.sees(ALL_UP);
  });
  await without(visitor, ITSELF, async () => {
    await visitor.step("waits while control is stopped", async () => {
      visitor.expectsError(/ERR_CONNECTION_REFUSED .*\/api\/status/);
      await visitor.sees("Sutra control itself is not answering.", alert);
      await visitor.sees(/What stands below was seen at \d/, alert);
      assert.equal(await page.getByText(ALL_UP).count(), 0, "what is not known any more is not claimed");
      assert.equal(await cards.count(), 8, "what was seen last is still shown");
      await audit(page, "a dashboard that is out of date");
    });
  });
  await visitor.step("waits after its start", async () => {
    // Sessions are kept in memory only.
    visitor.expectsError(/status of 401 .*\/api\/status/);
    await visitor.sees("Your session is over. Sign in again.");
    assert.ok(await name.evaluate((field) => field === document.activeElement), "the focus is to be on the name");
  });
});
