import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { audit } from "../support/audit.js";
import { elements, openView, signIn } from "../support/control.js";
import { without } from "../support/engine.js";
import { URLS } from "../support/environment.js";
import { json } from "../support/json.js";
import { until } from "../support/until.js";
import { story } from "../support/visitor.js";

const INGESTER = URLS.get("bulk-ingester");
/** Name of the Compose service. */
const HYBRID_SERVICE = "sutra-hybrid";
/** More than the dashboard of the simple edition shows. */
const JOBS = 22;
const ENDED = ["done", "failed", "cancelled"];

/** Uploads lines to the ingester and returns the job. */
const upload = (lines) =>
  json(`${INGESTER}/v1/jobs`, {
    method: "POST",
    headers: { "Content-Type": "application/x-ndjson" },
    body: lines.map((line) => `${line}\n`).join(""),
  });

const jobOf = (id) => json(`${INGESTER}/v1/jobs/${id}`);

/** All jobs that the ingester lists, newest first. */
async function allJobs() {
  let page = await json(`${INGESTER}/v1/jobs?limit=100`);
  const jobs = [...page.jobs];
  while (page.next) {
    page = await json(`${INGESTER}/v1/jobs?limit=100&cursor=${encodeURIComponent(page.next)}`);
    jobs.push(...page.jobs);
  }
  return jobs;
}

story("control: lists all jobs with their bad lines", async (visitor) => {
  const { page } = visitor;
  const { cards } = elements(page);
  let bad;
  await visitor.step("uploads more files than the dashboard shows", async () => {
    for (let number = 1; number <= JOBS; number += 1) {
      const good = JSON.stringify({ text: `Lighthouse ${randomUUID()} is painted in red and white.` });
      const { id } = await upload(number === JOBS ? [good, "this is not JSON", '{"text": 7}'] : [good]);
      await until(`job ${id} to end`, async () => ENDED.includes((await jobOf(id)).state));
      if (number === JOBS) bad = await jobOf(id);
    }
    assert.equal(bad.bad, 2, `expected two bad lines: ${JSON.stringify(bad)}`);
  });
  await visitor.step("opens the jobs", async () => {
    await signIn(page);
    await openView(page, "Jobs", "Ingest jobs");
    await page.getByRole("article", { name: bad.id }).waitFor();
    const jobs = await allJobs();
    const older = page.getByRole("button", { name: "Show older jobs" });
    await until("all jobs to be shown", async () => {
      const count = await cards.count();
      if (count === jobs.length) return true;
      if ((await older.count()) === 1 && (await older.isEnabled())) await older.click();
      throw new Error(`${count} of ${jobs.length} jobs`);
    });
    assert.deepEqual(
      await cards.getByRole("heading").allInnerTexts(),
      jobs.map(({ id }) => id),
    );
  });
  await visitor.step("opens the bad lines", async () => {
    await page.getByRole("button", { name: `Show 2 bad lines of job ${bad.id}` }).click();
    const table = page.getByRole("region", { name: `Table of bad lines of job ${bad.id}` });
    await table.waitFor();
    const [, ...rows] = await table.getByRole("row").allInnerTexts();
    assert.deepEqual(
      rows.map((row) => row.split("\t").map((cell) => cell.trim())),
      bad.bad_lines.map(({ line, reason }) => [String(line), reason]),
    );
    await audit(page, "the jobs with bad lines");
  });
});

story("control: cancels a job after a confirmation", async (visitor) => {
  const { page } = visitor;
  const { question } = elements(page);
  await visitor.step("opens the jobs", async () => {
    await signIn(page);
    await openView(page, "Jobs", "Ingest jobs");
  });
  await without(visitor, HYBRID_SERVICE, async () => {
    let id;
    await visitor.step("uploads a file that cannot be taught now", async () => {
      ({ id } = await upload([JSON.stringify({ text: `Nobody will learn ${randomUUID()}.` })]));
      await page.getByRole("article", { name: id }).waitFor();
    });
    const cancel = page.getByRole("button", { name: `Cancel job ${id}` });
    await visitor.step("is asked, and keeps the job", async () => {
      await cancel.click();
      await visitor.sees(/upload is deleted/, question);
      await audit(page, "the question whether to cancel a job");
      await page.getByRole("button", { name: "Keep running" }).click();
      await question.waitFor({ state: "detached" });
      assert.ok(!ENDED.includes((await jobOf(id)).state), "the job goes on");
    });
    await visitor.step("cancels the job", async () => {
      await cancel.click();
      await page.getByRole("button", { name: "Cancel the job" }).click();
      await visitor.sees(`Job ${id} is cancelled.`);
      assert.equal((await jobOf(id)).state, "cancelled");
      await cancel.waitFor({ state: "detached" });
      await visitor.sees("cancelled", page.getByRole("article", { name: id }));
    });
  });
});
