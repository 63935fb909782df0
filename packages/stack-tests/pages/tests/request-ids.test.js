import assert from "node:assert/strict";
import { test } from "node:test";
import { URLS } from "../support/environment.js";

const CLIENT = URLS.get("client");
/** The page, the API, and an error of either. */
const PATHS = ["/", "/health", "/api/health", "/api/stats", "/assets/missing.js"];
const NEW = /^[0-9a-f]{32}$/;

/** The ids in the answer to GET `path`; several are joined by a comma. */
async function idOf(path, id) {
  const answer = await fetch(CLIENT + path, { headers: id === undefined ? {} : { "X-Request-Id": id } });
  await answer.arrayBuffer();
  return answer.headers.get("X-Request-Id");
}

test("request ids: a valid one is kept", async () => {
  for (const path of PATHS) {
    for (const id of ["a.B_c-1", "a".repeat(64)]) {
      assert.equal(await idOf(path, id), id, path);
    }
  }
});

test("request ids: a new one replaces an invalid or missing one", async () => {
  for (const path of PATHS) {
    for (const id of [undefined, "", "a b", "a/b", "a,b", "a".repeat(65), 'a"b']) {
      assert.match(await idOf(path, id), NEW, `${path} ${id}`);
    }
    assert.notEqual(await idOf(path), await idOf(path));
  }
});
