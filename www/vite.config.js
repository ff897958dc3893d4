import { cpSync, createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));
const modelsFolder = resolve(process.env.FREEGUIDE_MODELS ?? join(here, "../models"));

/** The bundles in the models folder: every folder with a config.json. */
function bundles() {
  if (!existsSync(modelsFolder)) return [];
  return readdirSync(modelsFolder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(modelsFolder, entry.name, "config.json")))
    .map((entry) => entry.name)
    .sort();
}

function indexJson() {
  const models = bundles().map((folder) => {
    const { name, classes, image } = JSON.parse(readFileSync(join(modelsFolder, folder, "config.json"), "utf8"));
    return { folder, name, classes: classes.length, size: image.size };
  });
  return `${JSON.stringify({ models }, null, 1)}\n`;
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
      }
      writeFileSync(join(target, "index.json"), indexJson());
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
  plugins: [shippedModels(), contentSecurityPolicy()],
});
