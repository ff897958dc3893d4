// The packed package in Node, Deno and Bun: the same picture from every entry, bundled or not, and a process that ends.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import nodeResolve from "@rollup/plugin-node-resolve";
import * as esbuild from "esbuild";
import { rollup } from "rollup";
import { command, emptyFolder, project, tarball, writeFiles } from "../browser/fresh.mjs";
import { bun, missing, modelFolder, program, request, run } from "./programs.mjs";

let drawn;

before(async () => {
  const folder = await project({ after }, { "main.mjs": program() });
  ({ pixels: drawn } = await run("node", join(folder, "main.mjs")));
  assert.equal(drawn.length, 16 * 16 * 4);
});
after(async () => (await tarball()).remove());

for (const engine of ["node", "deno", "bun"]) {
  for (const [entry, options] of [["freeguide", {}], ["freeguide", { worker: false }], ["freeguide/inline", {}]]) {
    const title = `${engine} draws with ${entry}${options.worker === false ? " on the calling thread" : ""}, and ends`;
    test(title, { skip: missing(engine) }, async (t) => {
      const folder = await project(t, { "main.mjs": program(entry, options) });
      const { thread, pixels } = await run(engine, join(folder, "main.mjs"));
      assert.equal(thread, engine === "bun" && options.worker !== false ? "worker" : "caller");
      assert.deepEqual(pixels, drawn);
    });
  }
}

/** Bundlers that copy no files, each as a function from an entry's file to a bundle's. */
const bundlers = {
  esbuild: (entry, outfile) => esbuild.build({ entryPoints: [entry], outfile, bundle: true, format: "esm", logLevel: "error" }),
  async rollup(entry, file) {
    const bundle = await rollup({ input: entry, plugins: [nodeResolve({ browser: true })], logLevel: "silent" });
    await bundle.write({ dir: dirname(file), entryFileNames: basename(file), chunkFileNames: "[name].mjs", format: "es" });
    await bundle.close();
  },
  bun: (entry, file) => command(bun, ["build", entry, "--target=browser", `--outfile=${file}`]),
};

for (const [name, bundle] of Object.entries(bundlers)) {
  const skip = name === "bun" && missing("bun");

  test(`${name}: freeguide/inline is one file, which draws wherever it lies`, { skip }, async (t) => {
    const source = await project(t, { "main.js": program("freeguide/inline") });
    const place = await emptyFolder(t);
    await bundle(join(source, "main.js"), join(place, "main.mjs"));
    assert.deepEqual(await readdir(place), ["main.mjs"]);
    for (const engine of ["node", "deno", "bun"].filter((engine) => !missing(engine))) {
      assert.deepEqual((await run(engine, join(place, "main.mjs"))).pixels, drawn, engine);
    }
  });

  test(`${name}: freeguide says what is missing, and draws with a copy that the option runtime names`, { skip }, async (t) => {
    const copy = `${pathToFileURL(await project(t, {})).href}/node_modules/freeguide/`;
    const source = await project(t, { "main.js": program("freeguide", { runtime: copy }), "lost.js": program() });
    const place = await emptyFolder(t);
    await bundle(join(source, "main.js"), join(place, "main.mjs"));
    assert.deepEqual((await run("node", join(place, "main.mjs"))).pixels, drawn);
    await bundle(join(source, "lost.js"), join(place, "lost.mjs"));
    const said = await run("node", join(place, "lost.mjs")).catch(({ stderr }) => stderr);
    assert.match(String(said), /freeguide_cpu_bg\.wasm.*serve a copy of the package.*runtime/);
  });
}

test("the runtime of another version, or of another build, is refused in words", async (t) => {
  const folder = await project(t, {});
  const installed = join(folder, "node_modules/freeguide");
  const copy = `${pathToFileURL(join(folder, "copy")).href}/`;
  const wasm = await readFile(join(installed, "wasm/cpu/freeguide_cpu_bg.wasm"));
  const { version } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
  const stamp = wasm.subarray(wasm.lastIndexOf('{"version"'));
  const { glue } = JSON.parse(stamp);
  const others = { [`${version}x`]: [version, "9.9.9"], build: [glue, glue.split("").reverse().join("")] };
  for (const [what, [is, becomes]] of Object.entries(others)) {
    // Of the same length, so that the file stays a module.
    const other = Buffer.from(wasm);
    other.write(stamp.toString().replace(is, becomes), wasm.length - stamp.length);
    await writeFiles(folder, { "copy/wasm/cpu/freeguide_cpu_bg.wasm": other, "main.mjs": program("freeguide", { runtime: copy }) });
    const said = await run("node", join(folder, "main.mjs")).catch(({ stderr }) => stderr);
    const words = what === "build" ? "another build" : "version 9\\.9\\.9";
    assert.match(String(said), new RegExp(`DeviceError: the cpu runtime .* is of freeguide ${words}, and this package is version ${version}`));
  }
});

test("Node draws beside onnxruntime-web, which leaves a Worker of Node's own behind", async (t) => {
  const file = import.meta.resolve("onnxruntime-web");
  const model = new URL("../fixtures/mixer.onnx", import.meta.url);
  const before = `
    import * as ort from ${JSON.stringify(file)};
    import { readdir, readFile } from "node:fs/promises";
    ort.env.wasm.numThreads = 2;
    await ort.InferenceSession.create(await readFile(new URL(${JSON.stringify(model)})), { executionProviders: ["wasm"] });
    if (typeof Worker !== "function") throw new Error("it left no Worker behind");
  `;
  const folder = await project(t, { "main.mjs": `${program("freeguide", {}, before)}\nprocess.exit(0);` });
  const { thread, pixels } = await run("node", join(folder, "main.mjs"));
  assert.equal(thread, "caller");
  assert.deepEqual(pixels, drawn);
});

test("freeguide/edge draws from bytes, and says what is wrong with what it is given", async (t) => {
  const folder = await project(t, {
    "main.mjs": `
      import { readFileSync } from "node:fs";
      import { loadModel } from "freeguide/edge";
      const read = (name) => new Uint8Array(readFileSync(new URL(name, ${JSON.stringify(`${pathToFileURL(modelFolder).href}/`)})));
      const wasm = readFileSync(new URL("node_modules/freeguide/wasm/cpu/freeguide_cpu_bg.wasm", import.meta.url));
      const runtime = new WebAssembly.Module(wasm);
      const empty = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
      const files = new Map([["config.json", read("config.json")]]);
      const weights = JSON.parse(new TextDecoder().decode(files.get("config.json"))).weights;
      const failing = [];
      const fails = async (...args) => failing.push(await loadModel(...args).then(() => "drawn", ({ code, message }) => code + ": " + message));
      await fails(files, { runtime: "wasm" });
      await fails(files, { runtime: empty });
      await fails(files, { runtime });
      await fails("models/", { runtime });
      await fails("http://localhost/models", { runtime, fetch: async (url) => new Response(url, { status: 404 }) });
      await fails(files, { runtime, memory: 1e6 });
      for (const { file } of weights) files.set(file, read(file));
      const options = ${JSON.stringify(request)};
      const models = await Promise.all([loadModel(files, { runtime }), loadModel(files, { runtime })]);
      const drawn = await Promise.all(models.map((model) => model.generate(options)));
      const same = drawn.every(([image]) => String(image.data) === String(drawn[0][0].data));
      models[0].dispose();
      await models[0].generate(options).catch(({ code }) => failing.push(code));
      await models[1].generate({ classes: Array(4000).fill(0) }).catch(({ code, message }) => failing.push(code + ": " + message));
      const stopped = models[1].sample({ ...options, signal: AbortSignal.abort() });
      await stopped.next().catch(({ name }) => failing.push(name));
      console.log(JSON.stringify({ pixels: [...drawn[1][0].data], same, failing, left: (await models[1].generate(options)).length }));
    `,
  });
  const { pixels, same, failing, left } = await run("node", join(folder, "main.mjs"));
  assert.deepEqual(pixels, drawn);
  assert.ok(same);
  assert.equal(left, 1);
  const expected = [
    /^input: runtime must be a WebAssembly\.Module/,
    /^device: the cpu runtime \(given as runtime\) is of freeguide version unknown/,
    /^network: there is no model.*safetensors among the files/,
    /^network|^input: "models\/" is not an address/,
    /^network: cannot load http:\/\/localhost\/models\/config\.json: the server answered 404/,
    /^device: the model does not fit here: it needs about \d+ MiB, and the platform gives 1 MiB/,
    /^disposed$/,
    /^device: a batch of 4000 images does not fit here: .* the platform gives 128 MiB .*Draw fewer at a time/,
    /^AbortError$/,
  ];
  assert.equal(failing.length, expected.length);
  failing.forEach((words, at) => assert.match(words, expected[at]));
});
