import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
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

/** The modules below `folder`, each with those that it imports (types too) or loads later. */
function imports(folder) {
  const files = readdirSync(folder, { recursive: true }).map(String).filter((file) => file.endsWith(".ts"));
  return new Map(
    files.map((file) => {
      const path = join(folder, file);
      const named = readFileSync(path, "utf8").matchAll(/(?:from|import) "(\.[^"]+)\.js"/g);
      return [path, [...named].map(([, name]) => join(dirname(path), `${name}.ts`))];
    }),
  );
}

/** A circle of imports, as the modules along it, or undefined. */
function circle(graph) {
  const finished = new Set();
  const visit = (path, trail) => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (finished.has(path)) return undefined;
    for (const next of graph.get(path) ?? []) {
      const found = visit(next, [...trail, path]);
      if (found) return found;
    }
    finished.add(path);
    return undefined;
  };
  for (const path of graph.keys()) {
    const found = visit(path, []);
    if (found) return found;
  }
  return undefined;
}

test("no modules import each other in a circle, neither the package's nor the page's", () => {
  assert.deepEqual(circle(new Map([["a", ["b"]], ["b", ["c"]], ["c", ["b"]]])), ["b", "c", "b"]);
  for (const folder of ["../src", "../../../www/src"]) {
    const graph = imports(fileURLToPath(new URL(folder, import.meta.url)));
    assert.ok(graph.size > 10);
    assert.equal(circle(graph)?.join(" → "), undefined);
  }
});
