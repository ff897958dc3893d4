import { DeviceError } from "./errors.js";
import { baseUrl, engine } from "./platform.js";
import type { FromEngine, ToEngine } from "./protocol.js";

/** A connection to an engine in a worker or on this thread. */
export interface Link {
  readonly thread: "worker" | "caller";
  post(message: ToEngine): void;
  /** Sets the listeners. Called once, before the first `post`. */
  listen(onMessage: (message: FromEngine) => void, onBroken: (reason: string) => void): void;
  /** Whether an answer is waited for: a worker that is idle keeps no process from ending, where the engine can tell. */
  hold?(busy: boolean): void;
  /** Ends the engine immediately; idempotent. */
  close(): void;
}

/**
 * Starts the worker's file, or the one at `address`, relative to the page. Rejects if the page may not start it (content
 * security policy, `file:` address, other origin).
 */
async function workerLink(address?: string | URL): Promise<Link> {
  // The literal form of the address lets bundlers find the file.
  const worker =
    address === undefined
      ? new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "freeguide-worker" })
      : new Worker(new URL(address, baseUrl()), { type: "module", name: "freeguide-worker" });
  try {
    await new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve(); // its first message is hello
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new DeviceError(`the worker did not start: ${event.message || "its file could not be loaded"}`));
      };
    });
  } catch (thrown) {
    worker.terminate();
    throw thrown;
  }
  return {
    thread: "worker",
    post: (message) => worker.postMessage(message),
    listen(onMessage, onBroken) {
      worker.onmessage = ({ data }: MessageEvent<FromEngine>) => onMessage(data);
      // The worker reports its own uncaught errors; here they only stay visible in the console.
      worker.onerror = null;
      worker.onmessageerror = () => onBroken("a message from the worker could not be read");
    },
    hold(busy) {
      // Bun's.
      const { ref, unref } = worker as { ref?(): void; unref?(): void };
      (busy ? ref : unref)?.call(worker);
    },
    close: () => worker.terminate(),
  };
}

/** Runs the engine on this thread. */
async function callerLink(): Promise<Link> {
  const [{ Engine }, { packagedBuilds }] = await Promise.all([import("./engine.js"), import("./builds.js")]);
  const builds = sharedBuilds ?? packagedBuilds();
  sharedBuilds = builds;
  return engineLink((post) => new Engine(builds, post));
}

// One wasm instance per build serves every model of this thread, because the glue module holds only one.
let sharedBuilds: import("./builds.js").Builds | undefined;

/** A link to an engine on this thread; messages arrive asynchronously, as they would from a worker. */
export function engineLink(
  make: (post: (message: FromEngine) => void) => {
    receive(message: ToEngine): void;
    crashed(message: string): void;
    close(): void;
  },
): Link {
  let listener: ((message: FromEngine) => void) | undefined;
  let closed = false;
  const engine = make((message) => {
    queueMicrotask(() => {
      if (!closed) listener?.(message);
    });
  });
  // Most of what traps outside of a call the instance tells itself (`Boundary.onTrap`); this hears of the rest.
  const onError = (event: Event): void => {
    const { error } = event as ErrorEvent;
    if (error instanceof WebAssembly.RuntimeError && error.stack?.includes("freeguide")) engine.crashed(error.message);
  };
  const target = globalThis as Partial<Pick<EventTarget, "addEventListener" | "removeEventListener">>;
  target.addEventListener?.("error", onError);
  return {
    thread: "caller",
    post(message) {
      queueMicrotask(() => {
        if (!closed) engine.receive(message);
      });
    },
    listen(onMessage) {
      listener = onMessage;
    },
    close() {
      if (closed) return;
      closed = true;
      target.removeEventListener?.("error", onError);
      engine.close();
    },
  };
}

/** Whether this engine has workers as browsers have them. Libraries leave Node's own in `Worker`, which are others. */
function hasWorkers(): boolean {
  return typeof Worker === "function" && engine() !== "node" && engine() !== "workerd";
}

/**
 * A worker where one is wanted and can be started, else this thread. Unless told otherwise one is wanted, but not in Deno,
 * whose processes do not end before their workers do.
 */
export async function openLink(worker: boolean | string | URL | undefined, runtime?: string): Promise<Link> {
  const wanted = worker ?? engine() !== "deno";
  if (wanted !== false && hasWorkers()) {
    const own = runtime === undefined ? undefined : new URL("dist/worker.js", runtime);
    try {
      return await workerLink(wanted === true ? own : wanted);
    } catch {
      // `model.device.thread` says which thread is used.
    }
  }
  return callerLink();
}
