import assert from "node:assert/strict";
import { faultsOf } from "../support/audit.js";
import { tabTo } from "../support/keyboard.js";
import { story } from "../support/visitor.js";

/** One fault of each kind that the audit must find. */
const PAGE = `<!doctype html><html lang="en"><title>Faults</title><style>::placeholder { color: #bbb; } input { outline: 2px solid #000; }</style><main><h1>Faults</h1>
  <p style="color: #999; background: #fff">low contrast text</p>
  <div style="background: #fff"><div style="opacity: 0.5"><p style="color: #555">transparent text</p></div></div>
  <p style="color: #949494; background: #fff; font-size: 24px">large text</p>
  <input placeholder="low contrast hint" aria-label="a field" style="background: #fff">
  <div style="width: 500px">wide text</div>
  <button style="outline: none">a</button><button style="outline: 3px solid #eee">b</button>
  <img></main></html>`;

story("audit: finds known faults", async (visitor) => {
  const { page } = visitor;
  await visitor.step("audits a page with faults", async () => {
    await page.setContent(PAGE);
    const faults = (await faultsOf(page)).filter((fault) => fault.startsWith("light"));
    const kinds = [
      /“low contrast text” has 2\.8\d : 1/,
      /“transparent text” has/,
      /“low contrast hint” has/,
      /500|5\d\d px wide/,
      /image-alt/,
    ];
    for (const kind of kinds) {
      assert.ok(
        faults.some((fault) => kind.test(fault)),
        `${kind} not found in: ${faults.join("\n")}`,
      );
    }
    assert.ok(!faults.some((fault) => fault.includes("“large text” has")), "large text needs less contrast");
  });
  await visitor.step("finds invisible focus indicators", async () => {
    await assert.rejects(tabTo(page, page.getByRole("button", { name: "a" })), /no visible focus on “a”/);
    await assert.rejects(tabTo(page, page.getByRole("button", { name: "b" })), /low contrast of the focus on “b”/);
  });
});
