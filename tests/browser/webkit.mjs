// WebKitGTK's MiniBrowser on a screen of its own, driven by WebKitWebDriver over the WebDriver protocol (W3C).
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { freePort } from "../common/free-port.mjs";

function onPath(name) {
  return (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name)).find(existsSync);
}

/** MiniBrowser, which Debian puts beside the library's own programs. */
function miniBrowser() {
  for (const lib of ["/usr/lib", "/usr/libexec"].filter(existsSync)) {
    const folders = [lib, ...readdirSync(lib).map((name) => join(lib, name))];
    for (const version of ["webkit2gtk-4.1", "webkitgtk-6.0", "webkit2gtk-4.0"]) {
      const file = folders.map((folder) => join(folder, version, "MiniBrowser")).find(existsSync);
      if (file) return file;
    }
  }
  return undefined;
}

const programs = { driver: onPath("WebKitWebDriver"), screen: onPath("Xvfb"), browser: miniBrowser() };

/** Why there is no WebKit here, or false. */
export const noWebKit = Object.values(programs).every(Boolean) ? false : "no WebKitWebDriver, MiniBrowser and Xvfb on this machine";

/** Starts a screen; resolves to its name and what ends it. */
async function startScreen() {
  const child = spawn(programs.screen, ["-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp"], { stdio: ["ignore", "pipe", "ignore"] });
  const number = await new Promise((resolve, reject) => {
    child.stdout.once("data", (data) => resolve(String(data).trim()));
    child.once("exit", () => reject(new Error("Xvfb does not start")));
  });
  return { display: `:${number}`, stop: () => child.kill() };
}

async function call(method, url, body) {
  const init = { method, headers: { "Content-Type": "application/json" }, ...(body && { body: JSON.stringify(body) }) };
  const { value } = await (await fetch(url, init)).json();
  if (value?.error) throw new Error(`${value.error}: ${value.message}`);
  return value;
}

/** A browser with one page. `evaluate` runs an asynchronous function in it, with arguments that are JSON. */
export async function launchWebKit() {
  const home = await mkdtemp(join(tmpdir(), "freeguide-webkit-"));
  const screen = await startScreen();
  const port = await freePort();
  const folders = { HOME: home, XDG_CACHE_HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home, XDG_RUNTIME_DIR: home };
  const env = { ...process.env, ...folders, DISPLAY: screen.display, LIBGL_ALWAYS_SOFTWARE: "1", WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1" };
  const driver = spawn(programs.driver, [`--port=${port}`], { env, stdio: "ignore" });
  const base = `http://127.0.0.1:${port}`;
  for (let tries = 0; !(await fetch(`${base}/status`).catch(() => undefined)); tries += 1) {
    if (tries > 100) throw new Error("WebKitWebDriver does not start");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const options = { "webkitgtk:browserOptions": { binary: programs.browser, args: ["--automation"] } };
  const { sessionId } = await call("POST", `${base}/session`, { capabilities: { alwaysMatch: options } });
  const session = `${base}/session/${sessionId}`;
  await call("POST", `${session}/timeouts`, { script: 180_000, pageLoad: 180_000 });
  return {
    open: (url) => call("POST", `${session}/url`, { url }),
    async evaluate(work, ...args) {
      const script = `const done = arguments[arguments.length - 1];
        (${work})(...Array.from(arguments).slice(0, -1)).then((value) => done({ value }), (error) => done({ error: String(error) }));`;
      const { value, error } = await call("POST", `${session}/execute/async`, { script, args });
      if (error) throw new Error(error);
      return value;
    },
    async close() {
      await call("DELETE", session).catch(() => {});
      driver.kill();
      screen.stop();
      await rm(home, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}
