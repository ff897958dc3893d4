// The same lines built by each bundler and opened in Chromium: the picture is the one that Node draws.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch } from "../browser/browser.mjs";
import { installPacked, tarball, writeFiles } from "../browser/fresh.mjs";
import { serve } from "../browser/server.mjs";
import { freePort } from "../common/free-port.mjs";
import { modelFolder as model, program, run } from "../engines/programs.mjs";
import { tools } from "./tools.mjs";

const here = dirname(fileURLToPath(import.meta.url));
/** Below this folder, so that projects find the bundlers, as they would find their own. */
const work = join(here, "work");

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

/** A project with the packed package among its packages, and the model among its public files. */
async function project(name, files) {
  const folder = join(work, name.replaceAll(/\W+/g, "-").toLowerCase());
  const about = { name: "fresh", private: true, type: "module", dependencies: { freeguide: "*" } };
  await writeFiles(folder, { "package.json": JSON.stringify(about), ...files });
  await installPacked(folder);
  await cp(model, join(folder, "public/models/emoji16"), { recursive: true });
  return folder;
}

/** Starts a server of a bundler's own; resolves to its address once it answers. */
async function startServer(t, folder, commandLine) {
  const port = await freePort();
  const [program, ...args] = commandLine(String(port));
  // A group of its own: such servers start processes that do not end with them.
  const child = spawn(program, args, { cwd: folder, detached: true, env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" } });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
  const exit = new Promise((resolve) => child.once("exit", resolve));
  t.after(async () => {
    process.kill(-child.pid, "SIGTERM");
    await exit;
  });
  const url = `http://127.0.0.1:${port}/`;
  for (let tries = 0; !(await fetch(url).catch(() => undefined)); tries += 1) {
    if (child.exitCode !== null || tries > 300) throw new Error(`${program} does not serve: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return url;
}

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
