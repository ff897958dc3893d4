// Cloudflare's workerd, with the example worker of the package in it and a folder of static files beside it.
import { spawn } from "node:child_process";
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { writeFiles } from "../browser/fresh.mjs";
import { freePort } from "../common/free-port.mjs";
import { fileOf, modelFolder } from "./programs.mjs";

const workerd = fileOf("@cloudflare/workerd-linux-64", "bin/workerd");
export const noWorkerd = workerd ? false : "workerd is not installed";

const config = (folder, port) => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "assets", disk = "${join(folder, "public")}"),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "runtime.wasm", wasm = embed "runtime.wasm"),
  ],
  bindings = [(name = "ASSETS", service = "assets")],
  compatibilityDate = "2026-11-01",
);
`;

/**
 * Bundles the example worker in `folder`, where the package is installed, and starts it. The platform compiles the runtime
 * that the worker imports.
 */
export async function startExample(folder) {
  const [example, installed] = ["../../runtime-web/js/examples/edge/worker.js", "node_modules/freeguide"];
  const source = join(folder, "source.js");
  const port = await freePort();
  await writeFiles(folder, {
    "source.js": await readFile(fileURLToPath(new URL(example, import.meta.url))),
    "runtime.wasm": await readFile(join(folder, installed, "wasm/cpu/freeguide_cpu_bg.wasm")),
    "config.capnp": config(folder, port),
  });
  await cp(modelFolder, join(folder, "public/models/emoji16"), { recursive: true });
  const alias = { "freeguide/wasm/cpu/freeguide_cpu_bg.wasm": "./runtime.wasm" };
  const { outputFiles } = await esbuild.build({
    ...{ entryPoints: [source], outfile: join(folder, "worker.js"), bundle: true, format: "esm", minify: true },
    ...{ alias, external: ["./runtime.wasm"], logLevel: "error", metafile: false, write: false },
  });
  await writeFiles(folder, { "worker.js": outputFiles[0].contents });
  const child = spawn(workerd, ["serve", join(folder, "config.capnp")]);
  let errors = "";
  child.stderr.on("data", (data) => (errors += data));
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries += 1) {
    const answer = await fetch(`${url}/?class=nobody`).catch(() => undefined);
    if (answer) break;
    if (child.exitCode !== null || tries > 100) throw new Error(`workerd did not start: ${errors}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    url,
    pid: child.pid,
    bytes: outputFiles[0].contents.length,
    errors: () => errors,
    stop: () => new Promise((resolve) => child.once("exit", resolve) && child.kill()),
  };
}
