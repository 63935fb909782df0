import assert from "node:assert/strict";
import { audit } from "../support/audit.js";
import { CONTROL, elements, fact, signIn } from "../support/control.js";
import { without } from "../support/engine.js";
import { OPERATOR, PASSWORD, URLS } from "../support/environment.js";
import { tabTo } from "../support/keyboard.js";
import { until } from "../support/until.js";
import { story } from "../support/visitor.js";

/** Names of Compose services. */
const STORAGE = "storage-server";
const CONTROL_SERVICE = "sutra-control";
const ALL_UP = "All 8 services are up.";

story("control: rejects a wrong password", async (visitor) => {
  const { page } = visitor;
  const { name, cards, alert } = elements(page);
  await visitor.step("opens the page", async () => {
    await page.goto(CONTROL);
    await name.waitFor();
    // No errors are expected before signing in.
    visitor.checkErrors();
    await audit(page, "the sign-in");
  });
  await visitor.step("enters a wrong password", async () => {
    visitor.expectsError(/status of 401 .*\/api\/session/);
    await signIn(page, "a wrong password");
    await visitor.sees(/name or (the )?password/i, alert);
    assert.equal(await cards.count(), 0, "no services are shown");
    await audit(page, "a failed sign-in");
  });
});

story("control: shows all eight services with version and edition", async (visitor) => {
  const { page } = visitor;
  const { cards } = elements(page);
  await visitor.step("signs in", async () => {
    await signIn(page);
    await visitor.sees(ALL_UP);
  });
  await visitor.step("compares the cards with /health of each service", async () => {
    const shown = {};
    for (const card of await cards.all()) {
      shown[await card.getByRole("heading").innerText()] = {
        state: await card.locator(".pill").innerText(),
        version: await fact(card, "Version").innerText(),
        edition: await fact(card, "Edition").innerText(),
      };
    }
    const reported = {};
    for (const [name, url] of URLS) {
      const { version, edition } = await (await fetch(`${url}/health`)).json();
      reported[name] = { state: "up", version, edition };
    }
    assert.equal(URLS.size, 8, "expected the URLs of eight services");
    assert.deepEqual(shown, reported);
  });
  await visitor.step("reads the figures of storage", async () => {
    const { storage } = elements(page);
    // The second scrape brings the requests of the time since the first.
    await visitor.sees(/^Metrics, last \d/, storage);
    assert.match(await fact(storage, /^Requests$/).innerText(), /^\d/);
    assert.match(await fact(storage, /^Memory$/).innerText(), /^[\d.]+ MB$/);
    assert.match(await fact(storage, /^Vector memory$/).innerText(), /^[\d.]+ [kMG]?B( of |$)/);
    await visitor.sees(/^Metrics, .*counted by api$/, page.getByRole("article", { name: "client", exact: true }));
  });
  await visitor.step("opens address and limits of hybrid", async () => {
    await page.getByText("Address and limits of hybrid").click();
    await visitor.sees("max texts");
    await audit(page, "the dashboard");
  });
});

story("control: works by keyboard with a visible focus", async (visitor) => {
  const { page } = visitor;
  const { name, password, enter, leave, storage, cards } = elements(page);
  await visitor.step("signs in", async () => {
    await page.goto(CONTROL);
    await name.waitFor();
    assert.ok(await name.evaluate((field) => field === document.activeElement), "the name field must have the focus");
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
    await visitor.sees(/^URL$/, storage);
  });
  await visitor.step("signs out", async () => {
    await tabTo(page, leave);
    await page.keyboard.press("Enter");
    await name.waitFor();
    assert.equal(await cards.count(), 0, "no services are shown");
  });
});

story("control: shows a stopped service and its recovery", async (visitor) => {
  const { page } = visitor;
  const { storage, concepts } = elements(page);
  await visitor.step("signs in", async () => {
    await signIn(page);
    await visitor.sees(ALL_UP);
    await visitor.sees("up", storage.locator(".pill"));
  });
  await without(visitor, STORAGE, async () => {
    await visitor.step("waits while storage is stopped", async () => {
      await visitor.sees(/1 of 8 services is unavailable: storage\./);
      await visitor.sees(/unreachable|timeout/, storage.locator(".pill"));
      await visitor.sees("unknown", storage);
      await visitor.sees(/Unavailable: .*storage/, concepts);
      await until(
        "the title to show the number of services down",
        async () => (await page.title()) === "(1) Sutra control",
      );
      await audit(page, "the dashboard with a service down");
    });
  });
  await visitor.step("waits after the restart", async () => {
    await visitor.sees(ALL_UP);
    await visitor.sees("up", storage.locator(".pill"));
  });
});

story("control: signing out removes all data from the page", async (visitor) => {
  const { page } = visitor;
  const { leave, name, cards } = elements(page);
  await visitor.step("signs in and out", async () => {
    await signIn(page);
    await visitor.sees(ALL_UP);
    await leave.click();
    await name.waitFor();
    assert.equal(await cards.count(), 0, "no services are shown");
    assert.equal(await page.getByText(OPERATOR, { exact: true }).count(), 0, "the operator's name is not shown");
    assert.deepEqual(await page.context().cookies(), [], "no cookie is left");
  });
  await visitor.step("navigates away, back, and reloads", async () => {
    await page.goto("about:blank");
    await page.goBack();
    await name.waitFor();
    await page.reload();
    await name.waitFor();
    assert.equal(await cards.count(), 0, "no services are shown");
  });
  await visitor.step("requests the data directly", async () => {
    visitor.expectsError(/status of 401 .*\/api\/status/);
    assert.equal(await page.evaluate(async () => (await fetch("/api/status")).status), 401);
  });
});

story("control: shows an outage of control itself and the age of the data", async (visitor) => {
  const { page } = visitor;
  const { alert, cards, name } = elements(page);
  await visitor.step("signs in", async () => {
    await signIn(page);
    await visitor.sees(ALL_UP);
  });
  await without(visitor, CONTROL_SERVICE, async () => {
    await visitor.step("waits while control is stopped", async () => {
      // A request that is under way when control stops is reset.
      visitor.expectsError(/ERR_CONNECTION_(REFUSED|RESET) .*\/api\/status/);
      await visitor.sees("Sutra control itself is not responding.", alert);
      await visitor.sees(/The data below is from \d/, alert);
      assert.equal(await page.getByText(ALL_UP).count(), 0, "the outdated summary is hidden");
      assert.equal(await cards.count(), 8, "the last data is still shown");
      await audit(page, "an outdated dashboard");
    });
  });
  await visitor.step("waits after the restart", async () => {
    // Sessions are kept in memory only.
    visitor.expectsError(/status of 401 .*\/api\/status/);
    await visitor.sees("Your session has ended. Sign in again.");
    assert.ok(await name.evaluate((field) => field === document.activeElement), "the name field must have the focus");
  });
});
