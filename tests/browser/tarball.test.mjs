// The npm tarball, installed as a stranger would: into a fresh Vite project, onto a plain page, and on servers.
import assert from "node:assert/strict";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { launch } from "./browser.mjs";
import { command, emptyFolder, project, tarball, tsc, vite } from "./fresh.mjs";
import { serve } from "./server.mjs";
import { difference, drawNatively, freeguide, TOLERANCE } from "./setup.mjs";
import { tinyModel } from "./tiny.mjs";

let browser;
let tiny;
let packed;

const request = { classes: [0, 1], guidance: 2, steps: 4, seed: 7 };

before(async () => {
  [tiny, packed, browser] = await Promise.all([tinyModel(freeguide), tarball(), launch()]);
});
after(async () => {
  await browser?.close();
  await packed?.remove();
  await tiny?.remove();
});

/** Opens a page, waits for what it leaves in `globalThis.drawn`, and compares it with the native command's pictures. */
async function assertDraws(t, folders, path = "/") {
  const server = await serve(folders);
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  t.after(async () => {
    await page.close();
    await server.close();
  });
  await page.goto(server.url + path);
  await page.waitForFunction(() => globalThis.drawn !== undefined, undefined, { timeout: 60_000 });
  const { thread, pixels } = await page.evaluate(() => globalThis.drawn);
  assert.equal(thread, "worker");
  const native = await drawNatively({ model: tiny.folder, ...request, count: 2 });
  native.forEach((picture, at) => {
    const most = difference(pixels[at], picture.pixels);
    assert.ok(most <= TOLERANCE, `picture ${at} differs by ${most}`);
  });
  assert.deepEqual(errors, []);
}

const program = (from) => `
  import { loadModel } from ${JSON.stringify(from)};
  const model = await loadModel("tiny/", { device: "cpu" });
  const images = await model.generate(${JSON.stringify(request)});
  globalThis.drawn = { thread: model.device.thread, pixels: images.map(({ data }) => [...data]) };
`;
const html = (script) => `<!doctype html><html lang="en"><title>fresh</title><link rel="icon" href="data:,"><script type="module" ${script}</script>`;
// What the package's documentation says a Vite project needs.
const viteConfig = `export default { base: "./", worker: { format: "es" }, optimizeDeps: { exclude: ["freeguide"] } };`;

test("a fresh Vite project builds it and draws", async (t) => {
  const folder = await project(t, {
    "index.html": html(`src="/main.js">`),
    "main.js": program("freeguide"),
    "vite.config.js": viteConfig,
  });
  await command(process.execPath, [vite, "build", "--logLevel", "warn"], { cwd: folder });
  const assets = await readdir(join(folder, "dist/assets"));
  for (const kind of ["cpu", "webgpu"]) {
    assert.equal(assets.filter((name) => name.startsWith(`freeguide_${kind}_bg`)).length, 1, `one ${kind} wasm file`);
  }
  await assertDraws(t, { "/some/where/": join(folder, "dist"), "/some/where/tiny/": tiny.folder }, "/some/where/");
});

test("what a program does not use is not in its bundle", async (t) => {
  const folder = await project(t, {
    "index.html": html(`src="/main.js">`),
    "main.js": `import { pngText } from "freeguide"; globalThis.pngText = pngText;`,
    "vite.config.js": viteConfig,
  });
  await command(process.execPath, [vite, "build", "--logLevel", "warn"], { cwd: folder });
  // Vite copies files that a dropped module names; what counts is that nothing asks for them.
  const scripts = (await readdir(join(folder, "dist/assets"))).filter((name) => name.endsWith(".js"));
  const code = (await Promise.all(scripts.map((name) => readFile(join(folder, "dist/assets", name), "utf8")))).join("");
  assert.match(code, /pngText/);
  assert.doesNotMatch(code, /\.wasm|new Worker/);
  assert.ok(code.length < 4000, `${code.length} bytes for a reader of PNG files`);
});

test("a plain page imports it from a folder", async (t) => {
  const folder = await emptyFolder(t);
  await command("tar", ["xf", packed.file, "-C", folder]);
  await writeFile(join(folder, "index.html"), html(`>${program("./package/dist/index.js")}`));
  await cp(tiny.folder, join(folder, "tiny"), { recursive: true });
  await assertDraws(t, { "/": folder });
});

test("its types are whole, for the package and for the element", async (t) => {
  const folder = await project(t, {
    "main.ts": `
      import { loadModel, pictureToBitmap, pictureToPng, type BundleFiles, type Model, type SampleStep } from "freeguide";
      import { loadModel as edge } from "freeguide/edge";
      import { loadModel as inline } from "freeguide/inline";
      import { FreeguideSampler } from "freeguide/element";
      import { serveOffline } from "freeguide/service-worker";
      const files: BundleFiles = new Map<string, Blob>();
      const model = await loadModel(files, {
        worker: new URL("https://example.org/w.js"),
        runtime: "/freeguide/",
        gpu: {},
        onDevice: ({ kind, why, preparing }) => console.log(kind, why.length, preparing),
      });
      for await (const step of model.sample({ classes: [0, "a", null] })) {
        const { images }: SampleStep = step;
        console.log(images.length);
      }
      const stream: ReadableStream<SampleStep> = model.stream({ classes: [0] });
      const [picture] = await model.generate({ classes: [0] });
      const file: Blob = await pictureToPng(picture!, (await model.plan({ classes: [0] })).settings[0]);
      const bitmap: ImageBitmap = await pictureToBitmap(picture!);
      console.log(stream.locked, file.size, bitmap.width);
      const runtime = new WebAssembly.Module(new Uint8Array());
      const inside: Model[] = [await edge(new Map([["config.json", new Uint8Array()]]), { runtime }), await inline("/m/", { threads: 1 })];
      console.log(inside.length);
      // @ts-expect-error: its runtime is inside
      await inline("/m/", { runtime: "/freeguide/" });
      // @ts-expect-error: a class is needed
      await model.generate({});
      const element: FreeguideSampler = document.createElement("freeguide-sampler");
      element.addEventListener("freeguide-draw", ({ detail }) => console.log(detail.seed + 1));
      serveOffline({ version: "1", files: ["./"] });
    `,
    "tsconfig.json": JSON.stringify({
      compilerOptions: {
        strict: true,
        noEmit: true,
        target: "ES2022",
        module: "NodeNext",
        lib: ["ES2022", "DOM", "DOM.Iterable", "ESNext.Disposable"],
        types: [],
        skipLibCheck: false,
      },
      files: ["main.ts"],
    }),
  });
  await command(process.execPath, [tsc, "--project", folder]).catch(({ stdout }) => assert.fail(stdout));
});

const deno = fileURLToPath(new URL("node_modules/@deno/linux-x64-glibc/deno", import.meta.url));
const onServers = `
  import { loadModel, version } from "freeguide";
  import "freeguide/element";
  import { serveOffline } from "freeguide/service-worker";
  const model = await loadModel(process.argv[2], { device: "cpu" });
  // Without dispose: a model keeps no process from ending.
  const images = await model.generate(${JSON.stringify(request)});
  const pixels = images.map(({ data }) => [...data]);
  console.log(JSON.stringify({ version, window: typeof window, kind: typeof serveOffline, pixels }));
`;

for (const [name, program, options] of [
  ["Node", process.execPath, []],
  ["Deno", deno, ["run", "--quiet", "--allow-read", "--allow-env", "--node-modules-dir=manual"]],
]) {
  test(`the same program runs in ${name}, where every entry imports without a window`, async (t) => {
    const folder = await project(t, { "main.mjs": onServers });
    const printed = await command(program, [...options, "main.mjs", pathToFileURL(tiny.folder).href], { cwd: folder });
    const { version, window, pixels } = JSON.parse(printed);
    assert.equal(window, "undefined");
    assert.equal(version, JSON.parse(await readFile(join(folder, "node_modules/freeguide/package.json"), "utf8")).version);
    const native = await drawNatively({ model: tiny.folder, ...request, count: 2 });
    native.forEach((picture, at) => assert.ok(difference(pixels[at], picture.pixels) <= TOLERANCE));
  });
}

