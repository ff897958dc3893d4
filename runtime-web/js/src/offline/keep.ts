import { FreeguideError } from "../errors.js";
import { baseUrl } from "../platform.js";
import { runtimeUrl } from "../runtime-files.js";
import type { Keep, KeepMessage } from "./serve.js";

/** What the page asks its service worker to cache. */
export interface RuntimeInUse {
  /** The runtime that this visitor uses: `model.device.kind`. */
  readonly runtime?: "cpu" | "webgpu";
}

/**
 * Called by a page: asks its service worker, which uses `serveOffline`, to cache more files and models, for instance the
 * model that the visitor has chosen. Resolves when they are cached. Addresses are relative to the page.
 *
 * Rejects with a `FreeguideError` of code `network` if the page has no service worker or a file cannot be fetched.
 */
export async function keepOffline({ files = [], models = [], runtime }: Keep & RuntimeInUse): Promise<void> {
  const container = (globalThis as { navigator?: { serviceWorker?: ServiceWorkerContainer } }).navigator?.serviceWorker;
  if (!container) throw new FreeguideError("network", "this page can have no service worker");
  const worker = (await container.ready).active;
  const absolute = (path: string): string => new URL(path, baseUrl()).href;
  const wasm = runtime === undefined ? [] : [runtimeUrl(runtime).href];
  const message: KeepMessage = {
    freeguide: "keep",
    keep: { files: [...files.map(absolute), ...wasm], models: models.map(absolute) },
  };
  const problem = await new Promise<string | undefined>((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }: MessageEvent<string | undefined>) => {
      port1.close();
      resolve(data);
    };
    worker?.postMessage(message, [port2]);
  });
  if (problem !== undefined) throw new FreeguideError("network", problem);
}
