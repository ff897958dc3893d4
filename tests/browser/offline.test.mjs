// Without a network: the service worker helper on a plain page.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { launch } from "./browser.mjs";
import { serve } from "./server.mjs";
import { freeguide, packageFolder } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

let browser;
let tiny;

before(async () => {
  tiny = await tinyModel(freeguide);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await tiny?.remove();
});

const page = `<!doctype html><html lang="en"><title>offline</title><link rel="icon" href="data:,"><script type="module" src="./main.js"></script>`;
const main = `
  import { loadModel } from "./freeguide/dist/index.js";
  import { keepOffline } from "./freeguide/dist/service-worker.js";
  globalThis.keepOffline = keepOffline;
  globalThis.draw = async (url) => {
    const model = await loadModel(url, { device: "cpu" });
    const [image] = await model.generate({ classes: [0], steps: 2, seed: 7 });
    model.dispose();
    return image.data.join();
  };
  navigator.serviceWorker.register("./sw.js", { type: "module" });
`;
const worker = (version, models) => `
  import { serveOffline } from "./freeguide/dist/service-worker.js";
  serveOffline({ version: "${version}", files: ["./", "./main.js"], runtime: "./freeguide/", models: ${JSON.stringify(models)} });
`;

/** A site in a folder of its host, with `/site/a/` kept from the start and `/site/b/` not. */
async function host(t, routes = {}) {
  const text = (type, body) => (_, response) => response.writeHead(200, { "Content-Type": type }).end(body);
  const server = await serve(
    { "/site/freeguide/": packageFolder, "/site/a/": tiny.folder, "/site/b/": tiny.folder },
    {
      "/site/": text("text/html", page),
      "/site/main.js": text("text/javascript", main),
      "/site/sw.js": text("text/javascript", worker("1", ["./a/"])),
      ...routes,
    },
  );
  const profile = await browser.newContext();
  t.after(async () => {
    await profile.close();
    await server.close();
  });
  return { server, profile };
}

const ready = (opened) => opened.evaluate(async () => void (await navigator.serviceWorker.ready));

test("after one visit page, runtime and model are there with the server gone", async (t) => {
  const { server, profile } = await host(t);
  const first = await profile.newPage();
  await first.goto(`${server.url}/site/`);
  await ready(first);
  const online = await first.evaluate(() => draw("./a/"));
  await first.close();
  await server.close();

  const opened = await profile.newPage();
  const failed = [];
  opened.on("requestfailed", (request) => failed.push(request.url()));
  await opened.goto(`${server.url}/site/?some=settings`);
  assert.equal(await opened.evaluate(() => draw("./a/")), online);
  assert.deepEqual(failed, []);
  const elsewhere = await opened.evaluate(() => draw("./b/").catch(({ code }) => code));
  assert.equal(elsewhere, "network", "what was not kept is not there");
});

test("the page can have another model kept, and hears where that fails", async (t) => {
  const config = JSON.parse(await readFile(`${tiny.folder}/config.json`, "utf8"));
  const broken = Buffer.from(await readFile(`${tiny.folder}/${config.weights[0].file}`));
  broken[broken.length - 1] ^= 1;
  const { server, profile } = await host(t, {
    "/site/c/config.json": (_, response) => response.end(JSON.stringify(config)),
    [`/site/c/${config.weights[0].file}`]: (_, response) => response.end(broken),
    "/site/sw.js": (_, response) => response.writeHead(200, { "Content-Type": "text/javascript" }).end(worker("1", [])),
  });
  const opened = await profile.newPage();
  await opened.goto(`${server.url}/site/`);
  await ready(opened);
  const keep = (model) => opened.evaluate((model) => keepOffline({ models: [model] }).then(() => "kept", ({ code, message }) => `${code}: ${message}`), model);
  assert.match(await keep("./c/"), /^network: .*SHA-256/);
  assert.match(await keep("./nowhere/"), /^network: .*404/);
  assert.equal(await keep("./b/"), "kept");
  await profile.setOffline(true);
  await opened.reload();
  assert.match(await opened.evaluate(() => draw("./b/")), /^\d/);
});

test("where the page is asked of the server first, a new one shows at once and the kept one without it", async (t) => {
  let title = "one";
  const { server, profile } = await host(t, {
    "/site/": (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end(page.replace("offline", title)),
    "/site/sw.js": (_, response) =>
      response
        .writeHead(200, { "Content-Type": "text/javascript" })
        .end(worker("1", []).replace("version:", `page: "network", version:`)),
  });
  const opened = await profile.newPage();
  await opened.goto(`${server.url}/site/`);
  await ready(opened);
  title = "two";
  await opened.reload();
  assert.equal(await opened.title(), "two");
  await server.close();
  await opened.reload();
  assert.equal(await opened.title(), "one", "what was kept at the start");
});

test("a new version takes over and leaves nothing of the old one behind", async (t) => {
  let version = "1";
  let greeting = "one";
  const { server, profile } = await host(t, {
    "/site/sw.js": (_, response) =>
      response.writeHead(200, { "Content-Type": "text/javascript", "Cache-Control": "no-store" }).end(worker(version, [])),
    "/site/main.js": (_, response) =>
      response.writeHead(200, { "Content-Type": "text/javascript" }).end(`globalThis.greeting = "${greeting}";\n${main}`),
  });
  const first = await profile.newPage();
  await first.goto(`${server.url}/site/`);
  await ready(first);
  [version, greeting] = ["2", "two"];
  await first.reload();
  assert.equal(await first.evaluate(() => globalThis.greeting), "one", "the old version serves as long as its page is open");
  await first.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    await registration.update();
    for (let turn = 0; turn < 200 && !registration.waiting; turn += 1) await new Promise((then) => setTimeout(then, 25));
  });
  await first.close();
  const second = await profile.newPage();
  await second.waitForTimeout(300);
  await second.goto(`${server.url}/site/`);
  assert.equal(await second.evaluate(() => globalThis.greeting), "two");
  const kept = await second.evaluate(async () => (await caches.keys()).filter((name) => name.startsWith("freeguide-offline")));
  assert.deepEqual(kept.map((name) => name.slice(-2)), [" 2"]);
});
