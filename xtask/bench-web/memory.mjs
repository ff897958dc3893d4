import { readFile } from "node:fs/promises";

/**
 * The most memory that a renderer process of this browser has held, in bytes: JavaScript's heap, WebAssembly's memories and
 * compiled code, of the page and its workers alike. Undefined where the system does not say (it does on Linux).
 */
export async function processMemory(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const peaks = await Promise.all(
    processInfo
      .filter(({ type }) => type === "renderer")
      .map(async ({ id }) => {
        const status = await readFile(`/proc/${id}/status`, "utf8").catch(() => "");
        return 1024 * Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1] ?? NaN);
      }),
  );
  const known = peaks.filter((peak) => peak > 0);
  return known.length > 0 ? Math.max(...known) : undefined;
}
