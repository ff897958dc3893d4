import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import * as freeguide from "../dist/index.js";

test("the package imports where there is no window, and says its version", async () => {
  assert.equal(typeof window, "undefined");
  const { version } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
  assert.equal(freeguide.version, version);
  assert.equal(typeof freeguide.loadModel, "function");
});

test("without a Cache API there is nothing to list or clear", async () => {
  assert.deepEqual(await freeguide.cache.list(), []);
  await freeguide.cache.delete();
  await freeguide.cache.delete("0".repeat(64));
});
