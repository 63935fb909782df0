import assert from "node:assert/strict";
import { faultsOf } from "../support/audit.js";
import { tabTo } from "../support/keyboard.js";
import { story } from "../support/visitor.js";

/** One fault of each kind that the other tests rely on being found. */
const PAGE = `<!doctype html><html lang="en"><title>Faults</title><style>::placeholder { color: #bbb; } input { outline: 2px solid #000; }</style><main><h1>Faults</h1>
  <p style="color: #999; background: #fff">pale words</p>
  <div style="background: #fff"><div style="opacity: 0.5"><p style="color: #555">half seen words</p></div></div>
  <p style="color: #949494; background: #fff; font-size: 24px">large words</p>
  <input placeholder="pale hint" aria-label="a field" style="background: #fff">
  <div style="width: 500px">wide words</div>
  <button style="outline: none">a</button><button style="outline: 3px solid #eee">b</button>
  <img></main></html>`;

story("audit: finds what the other tests rely on being found", async (visitor) => {
  const { page } = visitor;
  await visitor.step("looks at a page full of faults", async () => {
    await page.setContent(PAGE);
    const faults = (await faultsOf(page)).filter((fault) => fault.startsWith("light"));
    const kinds = [
      /“pale words” has 2\.8\d : 1/,
      /“half seen words” has/,
      /“pale hint” has/,
      /500|5\d\d px wide/,
      /image-alt/,
    ];
    for (const kind of kinds) {
      assert.ok(
        faults.some((fault) => kind.test(fault)),
        `${kind} was to be found; found: ${faults.join("\n")}`,
      );
    }
    assert.ok(!faults.some((fault) => fault.includes("“large words” has")), "large words need less contrast");
  });
  await visitor.step("looks for the focus where it does not show", async () => {
    await assert.rejects(
      tabTo(page, page.getByRole("button", { name: "a" })),
      /nothing shows that the focus is on “a”/,
    );
    await assert.rejects(tabTo(page, page.getByRole("button", { name: "b" })), /the focus on “b” hardly shows/);
  });
});
