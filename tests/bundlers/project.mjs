// Projects that use the packed package, and the servers of their tools.
import { spawn } from "node:child_process";
import { cp } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { installPacked, writeFiles } from "../browser/fresh.mjs";
import { freePort } from "../common/free-port.mjs";
import { modelFolder as model } from "../engines/programs.mjs";

/** Below this folder, so that projects find the bundlers, as they would find their own. */
export const work = join(dirname(fileURLToPath(import.meta.url)), "work");

/** A project with the packed package among its packages, and the model among its public files. */
export async function project(name, files) {
  const folder = join(work, name.replaceAll(/\W+/g, "-").toLowerCase());
  const about = { name: "fresh", private: true, type: "module", dependencies: { freeguide: "*" } };
  await writeFiles(folder, { "package.json": JSON.stringify(about), ...files });
  await installPacked(folder);
  await cp(model, join(folder, "public/models/emoji16"), { recursive: true });
  return folder;
}

/** Starts a server of a bundler's own; resolves to its address once it answers. */
export async function startServer(t, folder, commandLine) {
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
