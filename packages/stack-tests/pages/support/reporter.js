import { relative } from "node:path";

/** Tells `node --test`'s events for people: a line for each story, and what failed with all that is known of it. */
export default async function* tell(events) {
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
      // A file whose stories failed is told by them.
      if (data.details.error?.failureType === "subtestsFailed") continue;
      failed.push(data.name);
      const cause = data.details.error?.cause ?? data.details.error;
      yield `FAILED  ${data.name} (${seconds} s)\n${indented(cause?.message ?? String(cause))}\n\n`;
    } else if (data.name !== file && data.name !== data.file) {
      passed += 1;
      yield `passed  ${data.name} (${seconds} s)\n`;
    }
  }
  const left = skipped > 0 ? `, ${skipped} not run` : "";
  yield `${passed} passed, ${failed.length} failed${left}${failed.map((name) => `\n  ${name}`).join("")}\n`;
}

function indented(text) {
  return text.replace(/^/gm, "        ");
}
