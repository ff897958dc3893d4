// The example worker as its users run it: `wrangler dev`, with the configuration beside it and nothing else.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { tarball } from "../browser/fresh.mjs";
import { decodePng } from "../browser/png.mjs";
import { program, request, run } from "../engines/programs.mjs";
import { project, startServer } from "./project.mjs";
import { packages } from "./tools.mjs";

const example = (name) => readFile(new URL(`../../runtime-web/js/examples/edge/${name}`, import.meta.url), "utf8");
let drawn;

before(async () => {
  const folder = await project("wrangler-node", { "main.mjs": program() });
  ({ pixels: drawn } = await run("node", join(folder, "main.mjs")));
});
after(async () => (await tarball()).remove());

test("wrangler serves the example worker", async (t) => {
  const files = { "worker.js": await example("worker.js"), "wrangler.toml": await example("wrangler.toml") };
  const folder = await project("wrangler", files);
  const program = join(packages, "wrangler/bin/wrangler.js");
  const url = await startServer(t, folder, (port) => [process.execPath, program, "dev", "--port", port, "--ip", "127.0.0.1", "--log-level", "warn"]);
  const { classes, ...numbers } = request;
  const response = await fetch(`${url}?${new URLSearchParams({ class: classes[0], ...numbers })}`);
  assert.equal(response.status, 200, await response.clone().text());
  assert.deepEqual([...decodePng(Buffer.from(await response.arrayBuffer())).pixels], drawn);
});
