import { distFiles } from "../built.js";
import { readCached, writeCached } from "../cache.js";

/** What is there without a network. Addresses are relative to the service worker's file. */
export interface OfflineOptions {
  /** Of the whole site; another one makes the worker fetch everything anew and drop what the old one kept. */
  readonly version: string;
  /** The page's own files, with `./` for the page itself. All of them must arrive, or the worker does not install. */
  readonly files: readonly string[];
  /** Folder of the package where it is served as it is, without a bundler: its modules and the CPU runtime. */
  readonly runtime?: string;
  /** Bundles' folders. Their weights are verified and go where `loadModel` looks for them. */
  readonly models?: readonly string[];
  /** Folders of which a file is kept from the first time that it was asked for: what not every visitor needs. */
  readonly onUse?: readonly string[];
  /**
   * Where the page itself comes from. `cache`, if left out: what is kept, so that all files are of one version. `network`:
   * the server, and what is kept where it does not answer; a new version then shows at once, which is safe where files
   * carry a hash in their names.
   */
  readonly page?: "cache" | "network";
}

/** What the page asks a running worker to keep as well. */
export interface Keep {
  readonly files?: readonly string[];
  readonly models?: readonly string[];
}

/** The message that carries a `Keep`; answered on its port with `undefined` or what went wrong. */
export interface KeepMessage {
  readonly freeguide: "keep";
  readonly keep: Keep;
}

// The part of a service worker's global scope that is used here; TypeScript has it only apart from the page's.
interface ExtendableEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchEvent extends ExtendableEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}
interface WorkerScope {
  readonly location: { readonly href: string; readonly origin: string };
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  addEventListener(type: "install" | "activate", listener: (event: ExtendableEvent) => void): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
  addEventListener(type: "message", listener: (event: ExtendableEvent & MessageEvent<unknown>) => void): void;
}

/**
 * Makes a service worker serve the page, the runtime and models without a network. Call it once at the top of the
 * worker's file:
 *
 * ```js
 * import { serveOffline } from "./freeguide/dist/service-worker.js";
 * serveOffline({ version: "1", files: ["./", "./style.css"], runtime: "./freeguide/", models: ["./models/emoji16/"] });
 * ```
 *
 * A new version is fetched beside the old one and takes over once no page of the old one is open.
 */
export function serveOffline(options: OfflineOptions): void {
  const scope = globalThis as unknown as WorkerScope;
  const name = `freeguide-offline ${scope.registration.scope} `;
  const cacheName = name + options.version;
  const address = (path: string): string => new URL(path, scope.location.href).href;
  const folder = (path: string): string => address(path.endsWith("/") ? path : `${path}/`);
  const onUse = [...(options.onUse ?? []), ...(options.runtime ? [options.runtime] : [])].map(folder);

  async function keep({ files = [], models = [] }: Keep): Promise<void> {
    const cache = await caches.open(cacheName);
    await Promise.all([
      ...files.map((file) => keepFile(cache, address(file))),
      ...models.map((model) => keepModel(cache, folder(model))),
    ]);
  }

  scope.addEventListener("install", (event) => {
    const runtime = options.runtime === undefined ? [] : packageFiles(folder(options.runtime));
    event.waitUntil(keep({ files: [...options.files, ...runtime], models: options.models ?? [] }));
  });

  scope.addEventListener("activate", (event) => {
    const clean = async (): Promise<void> => {
      const old = (await caches.keys()).filter((key) => key.startsWith(name) && key !== cacheName);
      await Promise.all(old.map((key) => caches.delete(key)));
      await scope.clients.claim();
    };
    event.waitUntil(clean());
  });

  scope.addEventListener("message", (event) => {
    const message = event.data as Partial<KeepMessage> | null;
    if (message?.freeguide !== "keep" || !message.keep) return;
    const answer = (words: string | undefined): void => event.ports[0]?.postMessage(words);
    event.waitUntil(
      keep(message.keep).then(
        () => answer(undefined),
        (thrown: unknown) => answer(thrown instanceof Error ? thrown.message : String(thrown)),
      ),
    );
  });

  scope.addEventListener("fetch", (event) => {
    const { request } = event;
    // A part of a file is the network's business: the cache has whole ones.
    if (request.method !== "GET" || request.headers.has("range") || !/^https?:/.test(request.url)) return;
    const fresh = options.page === "network" && request.mode === "navigate";
    event.respondWith(fresh ? fetch(request).catch(() => answerTo(request, cacheName, onUse)) : answerTo(request, cacheName, onUse));
  });
}

async function answerTo(request: Request, cacheName: string, onUse: readonly string[]): Promise<Response> {
  const cache = await caches.open(cacheName);
  // The page is the same whatever its query says.
  const kept = await cache.match(request, { ignoreSearch: request.mode === "navigate" });
  if (kept) return kept;
  const response = await fetch(request);
  if (response.status === 200 && onUse.some((prefix) => request.url.startsWith(prefix))) {
    // A cache that is full is no reason not to answer.
    await cache.put(request, response.clone()).catch(() => {});
  }
  return response;
}

/** The package's files that the CPU build needs; the WebGPU runtime, several times as large, is kept on use. */
function packageFiles(base: string): string[] {
  const glue = ["cpu", "webgpu"].map((kind) => `wasm/${kind}/freeguide_${kind}.js`);
  return [...distFiles.map((file) => `dist/${file}`), ...glue, "wasm/cpu/freeguide_cpu_bg.wasm"].map((file) => base + file);
}

async function whole(url: string): Promise<Response> {
  // Not what the browser's own cache has without asking: a new version shall be new.
  const response = await fetch(url, { cache: "no-cache" });
  if (!response.ok) throw new Error(`cannot keep ${url}: the server answered ${response.status}`);
  return response;
}

async function keepFile(cache: Cache, url: string): Promise<void> {
  await cache.put(url, await whole(url));
}

interface Listed {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Keeps a bundle: `config.json` as a file, its weights by hash where the runtime looks for them. */
async function keepModel(cache: Cache, base: string): Promise<void> {
  const config = await whole(`${base}config.json`);
  const { weights = [] } = (await config.clone().json()) as { weights?: readonly Listed[] };
  for (const { file, bytes, sha256 } of weights) {
    const there = await readCached(sha256);
    await there?.cancel();
    if (there) continue;
    const url = new URL(file, base).href;
    const data = new Uint8Array(await (await whole(url)).arrayBuffer());
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (hex !== sha256) throw new Error(`cannot keep ${url}: its SHA-256 is ${hex}, not ${sha256}`);
    const writer = await writeCached(sha256, bytes);
    writer?.write(data);
    // A file that the browser would not store comes back.
    if (!writer || (await writer.commit())) throw new Error(`cannot keep ${url}: the browser has no room for it`);
  }
  await cache.put(`${base}config.json`, config);
}
