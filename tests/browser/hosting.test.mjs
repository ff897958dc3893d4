// Where the package may be hosted and under which policies: another origin, a strict policy, no isolation, hostile text.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { freeguide, packageFolder } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

let browser;
let tiny;
let config;

before(async () => {
  tiny = await tinyModel(freeguide);
  browser = await launch();
  config = JSON.parse(await readFile(`${tiny.folder}/config.json`, "utf8"));
});
after(async () => {
  await browser?.close();
  await tiny?.remove();
});

async function open(t, server, path = "/") {
  const profile = await browser.newContext();
  const page = await profile.newPage();
  t.after(async () => {
    await profile.close();
    await server.close();
  });
  await page.goto(server.url + path);
  return page;
}

const text = (type, body, headers = {}) => (_, response) => response.writeHead(200, { "Content-Type": type, ...headers }).end(body);
const blank = text("text/html", "<!doctype html><link rel=icon href=data:,>");

const anywhere = { "Access-Control-Allow-Origin": "*" };

test("from another origin it draws on the calling thread, and in a worker with one file of this origin", async (t) => {
  const cdn = await serve({ "/freeguide@0.1.0/": packageFolder, "/tiny/": tiny.folder }, {}, anywhere);
  t.after(() => cdn.close());
  const page = await open(t, await serve({}, {
    "/": blank,
    "/freeguide-worker.js": text("text/javascript", `import "${cdn.url}/freeguide@0.1.0/dist/worker.js";\n`),
  }));
  const found = await page.evaluate(async (cdn) => {
    const { loadModel } = await import(`${cdn}/freeguide@0.1.0/dist/index.js`);
    const out = [];
    for (const worker of [true, "./freeguide-worker.js", "./missing.js"]) {
      const model = await loadModel(`${cdn}/tiny/`, { device: "cpu", worker });
      const [image] = await model.generate({ classes: [0], steps: 2, seed: 7 });
      out.push([model.device.thread, image.data.join()]);
      model.dispose();
    }
    return out;
  }, cdn.url);
  assert.deepEqual(found.map(([thread]) => thread), ["caller", "worker", "caller"]);
  assert.equal(new Set(found.map(([, pixels]) => pixels)).size, 1, "the same picture each time");
});

const policy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

test("under a strict policy, without isolation, package and element work and nothing is refused", async (t) => {
  const main = `
    import "/js/dist/element.js";
    import { loadModel } from "/js/dist/index.js";
    const model = await loadModel("/tiny/", { device: "cpu" });
    const images = await model.generate({ classes: [0], steps: 2 });
    globalThis.found = { thread: model.device.thread, images: images.length, isolated: crossOriginIsolated };
  `;
  const watch = `
    globalThis.violations = [];
    addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => violations.push([violatedDirective, blockedURI]));
  `;
  const html = `<!doctype html><html lang="en"><title>strict</title>
    <script src="/watch.js"></script><script type="module" src="/main.js"></script>
    <freeguide-sampler model="/tiny/" device="cpu" steps="2" autodraw></freeguide-sampler>`;
  const strict = { "Content-Security-Policy": policy };
  const server = await serve({ "/js/": packageFolder, "/tiny/": tiny.folder }, {
    "/": text("text/html", html, strict),
    "/main.js": text("text/javascript", main),
    "/watch.js": text("text/javascript", watch),
    "/favicon.ico": text("image/x-icon", ""),
  }, strict);
  const page = await open(t, server);
  await page.waitForFunction(() => globalThis.found && document.querySelector("freeguide-sampler").pictures.length > 0, undefined, { timeout: 60_000 });
  const found = await page.evaluate(() => ({ ...globalThis.found, violations }));
  assert.deepEqual(found, { thread: "worker", images: 1, isolated: false, violations: [] });
});

test("what a bundle calls its classes is text, whatever it looks like", async (t) => {
  const hostile = `"><img src=x onerror="globalThis.owned = true"><script>globalThis.owned = true</script>`;
  const names = config.classes.map((name, at) => (at === 0 ? hostile : name));
  const server = await serve({ "/js/": packageFolder, "/tiny/": tiny.folder }, {
    "/": text("text/html", `<!doctype html><html lang="en"><title>hostile</title><link rel=icon href=data:,>
      <script type="module" src="/js/dist/element.js"></script>
      <freeguide-sampler model="/tiny/" device="cpu" steps="2" autodraw></freeguide-sampler>`),
    "/tiny/config.json": text("application/json", JSON.stringify({ ...config, name: hostile, classes: names })),
  });
  const page = await open(t, server);
  await page.waitForFunction(() => document.querySelector("freeguide-sampler")?.pictures?.length > 0, undefined, { timeout: 60_000 });
  const found = await page.evaluate(() => {
    const root = document.querySelector("freeguide-sampler").shadowRoot;
    return {
      option: root.querySelector("option").textContent,
      label: root.querySelector("canvas").getAttribute("aria-label"),
      made: root.querySelectorAll("img, script").length + document.querySelectorAll("img").length,
      owned: globalThis.owned ?? false,
    };
  });
  assert.equal(found.option, hostile);
  assert.ok(found.label.includes(hostile));
  assert.deepEqual([found.made, found.owned], [0, false]);
});
