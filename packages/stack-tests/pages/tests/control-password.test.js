import { audit } from "../support/audit.js";
import { CONTROL, elements, signIn } from "../support/control.js";
import { OPERATOR, PASSWORD } from "../support/environment.js";
import { json } from "../support/json.js";
import { story } from "../support/visitor.js";

const OTHER_PASSWORD = "seven green umbrellas and a hat";

async function change(page, current, next) {
  await page.getByLabel("Current password").fill(current);
  await page.getByLabel("New password", { exact: true }).fill(next);
  await page.getByLabel("Repeat new password").fill(next);
  await page.getByRole("button", { name: "Change password" }).click();
}

/** Gives the operator the first password back after a story that failed half-way. */
async function restore() {
  const headers = { "Content-Type": "application/json" };
  const entered = await fetch(`${CONTROL}/api/session`, {
    method: "POST",
    headers,
    body: JSON.stringify({ name: OPERATOR, password: OTHER_PASSWORD }),
  });
  if (!entered.ok) return;
  const [cookie] = entered.headers.getSetCookie()[0].split(";");
  await json(`${CONTROL}/api/password`, {
    method: "POST",
    headers: { ...headers, Cookie: cookie },
    body: JSON.stringify({ current: OTHER_PASSWORD, new: PASSWORD }),
  });
}

story("control: changes the operator's password and ends the sessions elsewhere", async (visitor) => {
  const { page } = visitor;
  const { name, alert, leave } = elements(page);
  const elsewhere = await page.context().browser().newContext({ locale: "en-GB" });
  let isChanged = false;
  try {
    const other = await elsewhere.newPage();
    await visitor.step("signs in twice", async () => {
      await signIn(other);
      await other.getByText("All 8 services are up.").waitFor();
      await signIn(page);
      await page.getByRole("link", { name: "Change password" }).click();
      await page.getByLabel("Current password").waitFor();
      await audit(page, "the password form");
    });
    await visitor.step("enters a weak and a wrong password", async () => {
      await change(page, PASSWORD, "too short");
      await visitor.sees(/at least 15 characters/, alert);
      visitor.expectsError(/status of 403 .*\/api\/password/);
      await change(page, "a wrong password", OTHER_PASSWORD);
      await visitor.sees(/current password is wrong/i, alert);
      await audit(page, "a refused password");
    });
    await visitor.step("changes the password", async () => {
      isChanged = true;
      await change(page, PASSWORD, OTHER_PASSWORD);
      await visitor.sees(/Password changed\..*other sessions? ha(s|ve) ended\./);
      await other.getByText("Your session has ended. Sign in again.").waitFor();
    });
    await visitor.step("signs in with the new password only", async () => {
      await leave.click();
      await name.waitFor();
      visitor.expectsError(/status of 401 .*\/api\/session/);
      await signIn(page, PASSWORD);
      await visitor.sees(/name or (the )?password/i, alert);
      await signIn(page, OTHER_PASSWORD);
      await page.getByRole("link", { name: "Change password" }).click();
    });
    await visitor.step("changes it back", async () => {
      await change(page, OTHER_PASSWORD, PASSWORD);
      await visitor.sees(/Password changed\./);
      isChanged = false;
    });
  } finally {
    await elsewhere.close();
    if (isChanged) await restore();
  }
});
