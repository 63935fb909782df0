import { relative } from "node:path";

/** Reports the events of `node --test`: one line per story, with details of failures. */
export default async function* report(events) {
  let passed = 0;
  let skipped = 0;
  const failed = [];
  for await (const { type, data } of events) {
    if (type === "test:stdout" || type === "test:stderr") yield data.message;
    if (type !== "test:pass" && type !== "test:fail") continue;
    if (data.skip !== undefined) {
      skipped += 1;
      continue;
    }
    const file = relative(process.cwd(), data.file ?? "");
    const seconds = (data.details.duration_ms / 1000).toFixed(1);
    if (type === "test:fail") {
      // The failed stories of a file are reported themselves.
      if (data.details.error?.failureType === "subtestsFailed") continue;
      failed.push(data.name);
      const cause = data.details.error?.cause ?? data.details.error;
      yield `FAILED  ${data.name} (${seconds} s)\n${indented(cause?.message ?? String(cause))}\n\n`;
    } else if (data.name !== file && data.name !== data.file) {
      passed += 1;
      yield `passed  ${data.name} (${seconds} s)\n`;
    }
  }
  const skippedCount = skipped > 0 ? `, ${skipped} skipped` : "";
  yield `${passed} passed, ${failed.length} failed${skippedCount}${failed.map((name) => `\n  ${name}`).join("")}\n`;
}

function indented(text) {
  return text.replace(/^/gm, "        ");
}
