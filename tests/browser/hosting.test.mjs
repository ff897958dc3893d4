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

test("a page takes the element from a CDN's folder by one script tag, and its model too", async (t) => {
  const cdn = await serve({ "/freeguide@0.1.0/": packageFolder, "/tiny/": tiny.folder }, {}, anywhere);
  t.after(() => cdn.close());
  const page = await open(t, await serve({}, {
    "/": text("text/html", `<!doctype html><html lang="en"><title>t</title><link rel="icon" href="data:,">
      <script type="module" src="${cdn.url}/freeguide@0.1.0/dist/element.js"></script>
      <freeguide-sampler model="${cdn.url}/tiny/" device="cpu" steps="2" seed="7" autodraw></freeguide-sampler></html>`),
  }));
  await page.waitForFunction(() => document.querySelector("freeguide-sampler").pictures?.length > 0, undefined, { timeout: 60_000 });
  const [thread, drawn] = await page.evaluate(() => {
    const { loaded, pictures } = document.querySelector("freeguide-sampler");
    return [loaded.device.thread, [...pictures[0].data].length];
  });
  assert.deepEqual([thread, drawn], ["caller", 8 * 8 * 4]);
});

test("a bundler's output without the runtime says what is wrong, and draws with a copy that the option runtime names", async (t) => {
  // What a server of a one-page site answers where there is no file.
  const page404 = text("text/html", "<!doctype html><title>app</title>");
  const page = await open(t, await serve({ "/bundled/": packageFolder, "/copy/": packageFolder, "/tiny/": tiny.folder }, {
    "/": blank,
    "/bundled/dist/worker.js": page404,
    "/bundled/wasm/cpu/freeguide_cpu_bg.wasm": page404,
  }));
  const found = await page.evaluate(async () => {
    const { loadModel } = await import("/bundled/dist/index.js");
    const { code, detail, message } = await loadModel("/tiny/", { device: "cpu" }).catch((error) => error);
    const threads = [];
    for (const worker of [true, false]) {
      const model = await loadModel("/tiny/", { device: "cpu", runtime: "/copy/", worker });
      threads.push(model.device.thread, (await model.generate({ classes: [0], steps: 2 })).length);
      model.dispose();
    }
    return { code, detail, message, threads };
  });
  assert.deepEqual([found.code, found.detail], ["network", "html"]);
  assert.match(found.message, /bundler.*as runtime/);
  assert.deepEqual(found.threads, ["worker", 1, "caller", 1]);
});

test("a page's worker from a blob: address loads, draws and caches weights", async (t) => {
  const page = await open(t, await serve({ "/js/": packageFolder, "/tiny/": tiny.folder }, { "/": blank }));
  const found = await page.evaluate(async () => {
    const program = `
      const { loadModel, cache } = await import("${location.origin}/js/dist/index.js");
      const model = await loadModel("${location.origin}/tiny/", { device: "cpu" });
      const images = await model.generate({ classes: [0], steps: 2 });
      for (let turn = 0; turn < 100 && (await cache.list()).length === 0; turn += 1) await new Promise((resolve) => setTimeout(resolve, 20));
      postMessage({ images: images.length, cached: (await cache.list()).map(({ where }) => where) });`;
    const worker = new Worker(URL.createObjectURL(new Blob([program], { type: "text/javascript" })), { type: "module" });
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
  });
  assert.deepEqual(found, { images: 1, cached: ["disk"] });
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
