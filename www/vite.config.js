import { createHash } from "node:crypto";
import { cpSync, createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, defineConfig } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));
const modelsFolder = resolve(process.env.FREEGUIDE_MODELS ?? join(here, "../models"));
/** What `freeguide eval` measured of a model that ships: the first report that names it, since one may compare several. */
function figuresOf(folder) {
  const results = join(here, "../docs/results");
  const reports = readdirSync(results).sort().map((report) => join(results, report, "figures.json"));
  return reports.filter(existsSync).find((file) => JSON.parse(readFileSync(file, "utf8")).models.some(({ label }) => label === folder));
}

/** The name of the classifier that lies in a bundle's folder, from the header of its safetensors file; null without one. */
function classifierOf(folder) {
  const file = join(modelsFolder, folder, "classifier.safetensors");
  if (!existsSync(file)) return null;
  const bytes = readFileSync(file);
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString("utf8"));
  return JSON.parse(header.__metadata__.freeguide_classifier).name;
}

/** The grid of samples in a bundle's card that its picture in the list is cut from: that at the w nearest to its own. */
function pictureOf(folder) {
  const images = join(modelsFolder, folder, "images");
  const grids = existsSync(images) ? readdirSync(images).filter((name) => /^w[\d.]+\.png$/.test(name)) : [];
  const distance = (name) => Math.abs(parseFloat(name.slice(1)) - configOf(folder).sampling.guidance);
  return grids.sort((a, b) => distance(a) - distance(b))[0] ?? null;
}

/** What the page opens with, if it is there: what is drawn at once on every device and looks best at first sight. */
const OPENED = "glyphs32-fast";

/** The bundles in the models folder: every folder with a config.json, the smallest pictures first. */
function bundles() {
  if (!existsSync(modelsFolder)) return [];
  return readdirSync(modelsFolder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(modelsFolder, entry.name, "config.json")))
    .map(({ name }) => ({ name, size: configOf(name).image.size }))
    .sort((a, b) => a.size - b.size || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}

function configOf(folder) {
  return JSON.parse(readFileSync(join(modelsFolder, folder, "config.json"), "utf8"));
}

function indexJson() {
  const models = bundles().map((folder) => {
    const { name, classes, image, network } = configOf(folder);
    const distilled = network.guidance !== undefined;
    return { folder, name, classes: classes.length, size: image.size, distilled, picture: pictureOf(folder), figures: figuresOf(folder) !== undefined, classifier: classifierOf(folder) };
  });
  const opened = (models.find(({ folder }) => folder === OPENED) ?? models[0])?.folder;
  return `${JSON.stringify({ opened, models }, null, 1)}\n`;
}

/** Puts the bundles beside the page as `models/NAME/`, with `models/index.json` naming them. */
function shippedModels() {
  let outDir;
  return {
    name: "freeguide:models",
    configResolved(config) {
      outDir = resolve(config.root, config.build.outDir);
    },
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
        if (path === "/models/index.json") return response.end(indexJson());
        const [, folder] = /^\/models\/([^/]+)\/figures\.json$/.exec(path) ?? [];
        if (folder && figuresOf(folder)) return createReadStream(figuresOf(folder)).pipe(response);
        const file = path.startsWith("/models/") ? join(modelsFolder, path.slice("/models/".length)) : undefined;
        if (!file?.startsWith(modelsFolder) || !existsSync(file) || !statSync(file).isFile()) return next();
        response.setHeader("Content-Length", statSync(file).size);
        createReadStream(file).pipe(response);
      });
    },
    closeBundle() {
      const target = join(outDir, "models");
      mkdirSync(target, { recursive: true });
      for (const folder of bundles()) {
        cpSync(join(modelsFolder, folder), join(target, folder), { recursive: true });
        if (figuresOf(folder)) cpSync(figuresOf(folder), join(target, folder, "figures.json"));
      }
      writeFileSync(join(target, "index.json"), indexJson());
    },
  };
}

/**
 * The service worker, as one classic script beside the page, with the list of the files that the page cannot do
 * without. The runtimes are not among them: they are large, and which one a visitor needs shows only there.
 */
function serviceWorker() {
  let outDir;
  return {
    name: "freeguide:service-worker",
    apply: "build",
    configResolved(config) {
      outDir = resolve(config.root, config.build.outDir);
    },
    async closeBundle() {
      const files = readdirSync(outDir, { recursive: true })
        .map((file) => file.replaceAll("\\", "/"))
        .filter((file) => statSync(join(outDir, file)).isFile() && !file.startsWith("models/") && !file.endsWith(".wasm"))
        .sort();
      const hash = createHash("sha256");
      for (const file of files) hash.update(file).update(readFileSync(join(outDir, file)));
      // Another model, or another version of one, is another version of the site too.
      hash.update(indexJson());
      for (const folder of bundles()) {
        for (const file of [join(modelsFolder, folder, "config.json"), join(modelsFolder, folder, "classifier.safetensors"), figuresOf(folder)]) {
          if (file && existsSync(file)) hash.update(readFileSync(file));
        }
      }
      await build({
        configFile: false,
        root: here,
        logLevel: "warn",
        publicDir: false,
        define: {
          OFFLINE_VERSION: JSON.stringify(hash.digest("hex").slice(0, 12)),
          OFFLINE_FILES: JSON.stringify(["./", ...files.filter((file) => file !== "index.html").map((file) => `./${file}`)]),
        },
        build: {
          outDir,
          emptyOutDir: false,
          target: "es2022",
          lib: { entry: join(here, "src/sw.ts"), formats: ["iife"], name: "sw", fileName: () => "sw.js" },
        },
      });
    },
  };
}

/**
 * A strict policy on the built page: its own files, WebAssembly, and bundles from any https host (`?model=URL`). The
 * development server needs inline scripts and is left alone.
 */
const policy = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self' https:",
  "img-src 'self' data: blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

function contentSecurityPolicy() {
  return {
    name: "freeguide:csp",
    apply: "build",
    transformIndexHtml: () => [
      {
        tag: "meta",
        attrs: { "http-equiv": "Content-Security-Policy", content: policy },
        injectTo: "head-prepend",
      },
    ],
  };
}

export default defineConfig({
  base: "./", // works from any path of any static host
  build: {
    outDir: "../dist/site",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // no data: addresses, which the policy refuses
    chunkSizeWarningLimit: 1000,
  },
  worker: { format: "es" },
  optimizeDeps: { exclude: ["freeguide"] },
  server: { fs: { allow: [".."] } },
  plugins: [shippedModels(), contentSecurityPolicy(), serviceWorker()],
});
