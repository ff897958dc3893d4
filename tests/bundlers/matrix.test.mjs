// The same lines built by each bundler and opened in Chromium: the picture is the one that Node draws.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../browser/browser.mjs";
import { tarball } from "../browser/fresh.mjs";
import { serve } from "../browser/server.mjs";
import { modelFolder as model, program, run } from "../engines/programs.mjs";
import { project, startServer, work } from "./project.mjs";
import { tools } from "./tools.mjs";

let browser;
let drawn;

before(async () => {
  await rm(work, { recursive: true, force: true });
  browser = await launch();
  const folder = await project("node", { "main.mjs": program() });
  ({ pixels: drawn } = await run("node", join(folder, "main.mjs")));
});
after(async () => {
  await browser?.close();
  await (await tarball()).remove();
  await rm(work, { recursive: true, force: true });
});

/** What a page leaves in `drawn`. */
async function open(t, url) {
  const page = await browser.newPage();
  t.after(() => page.close());
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(url);
  // A bundler's server may reload the page once it has found what the page imports.
  await page.waitForFunction(() => globalThis.drawn !== undefined, undefined, { timeout: 60_000 }).catch((error) => assert.fail(`${error.message} ${errors}`));
  return page.evaluate(() => globalThis.drawn);
}

async function assertDraws(t, url) {
  const found = await open(t, url);
  assert.deepEqual({ ...found, pixels: undefined }, { thread: "worker", pixels: undefined });
  assert.deepEqual(found.pixels, drawn);
}

for (const [name, tool] of Object.entries(tools)) {
  if (tool.build) test(`${name}: what it builds draws`, async (t) => {
    const folder = await project(name, tool.files);
    await tool.build(folder);
    if (tool.start) {
      const url = await startServer(t, folder, tool.start);
      await assertDraws(t, url);
      assert.deepEqual(await (await fetch(url + tool.route)).json(), drawn, "on the server");
      return;
    }
    const server = await serve({ "/": join(folder, "out"), "/models/emoji16/": model, "/freeguide/": join(folder, "node_modules/freeguide") });
    t.after(() => server.close());
    await assertDraws(t, `${server.url}/`);
  });

  if (!tool.dev) continue;
  test(`${name}: what it serves while developing ${tool.complains ? "says what is missing" : "draws"}`, async (t) => {
    const folder = await project(`${name} dev`, tool.files);
    const url = await startServer(t, folder, tool.dev);
    if (tool.complains) assert.match((await open(t, url)).error, tool.complains);
    else await assertDraws(t, url);
  });
}
