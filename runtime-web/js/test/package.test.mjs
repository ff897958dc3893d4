import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
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

/** The sources, by path. */
function sources() {
  const folder = fileURLToPath(new URL("../src", import.meta.url));
  const files = readdirSync(folder, { recursive: true }).map(String).filter((file) => file.endsWith(".ts"));
  return files.map((file) => [file, readFileSync(join(folder, file), "utf8")]);
}

test("bundlers find every file that the package names: its address is a literal", () => {
  let found = 0;
  for (const [file, text] of sources()) {
    const code = text.replace(/^\s*(\/\/|\*|\/\*).*$/gm, "");
    const all = code.match(/import\.meta\.url/g)?.length ?? 0;
    const literal = code.match(/new URL\("[^"]+", import\.meta\.url\)/g)?.length ?? 0;
    assert.equal(literal, all, file);
    found += literal;
  }
  assert.equal(found, 3, "both runtimes and the worker");
});

test("no declaration says any", () => {
  const folder = fileURLToPath(new URL("../dist", import.meta.url));
  const files = readdirSync(folder, { recursive: true }).map(String).filter((file) => file.endsWith(".d.ts"));
  assert.ok(files.length > 40);
  const loose = /[:<|&(,=]\s*any\b(?!\()/;
  assert.match("x: any;", loose);
  for (const file of files) {
    const code = readFileSync(join(folder, file), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
    assert.doesNotMatch(code, loose, file);
  }
});

test("the worker's chunk has a name that no entry of a user's is likely to have", () => {
  const names = sources().flatMap(([, text]) => [...text.matchAll(/new Worker\(.*name: "([^"]+)"/g)].map(([, name]) => name));
  assert.deepEqual([...new Set(names)].sort(), ["freeguide-helper", "freeguide-worker"]);
});

test("entries resolve with exports and without, and the runtime's files are exported", async () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const about = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const entries = Object.entries(about.exports).filter(([, target]) => target.default);
  assert.equal(join(root, about.main), join(root, about.exports["."].default));
  for (const [entry, { default: file }] of entries) {
    assert.equal(import.meta.resolve(join("freeguide", entry)), pathToFileURL(join(root, file)).href);
    if (entry === ".") continue;
    const folder = join(root, entry);
    const { main, types } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    assert.equal(join(folder, main), join(root, file));
    if (types) readFileSync(join(folder, types));
    assert.ok(about.files.includes(entry.slice(2)), `${entry} is packed`);
  }
  const wasm = import.meta.resolve("freeguide/wasm/cpu/freeguide_cpu.js");
  assert.equal(wasm, pathToFileURL(join(root, "wasm/cpu/freeguide_cpu.js")).href);
});
