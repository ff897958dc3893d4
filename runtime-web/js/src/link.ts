import { DeviceError } from "./errors.js";
import { engine } from "./platform.js";
import type { FromEngine, ToEngine } from "./protocol.js";
import { checkWorkerVersion } from "./version.js";

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

/** Whether this engine has workers as browsers have them. Libraries leave Node's own in `Worker`, which are others. */
function hasWorkers(): boolean {
  return typeof Worker === "function" && engine() !== "node" && engine() !== "workerd";
}

/**
 * A worker where one is wanted and can be started, else this thread. Unless told otherwise one is wanted, but not in Deno,
 * whose processes do not end before their workers do. Rejects where the worker is of another version of this package.
 */
export async function openLink(wanted: boolean | undefined, startWorker: () => Worker, callerLink: () => Promise<Link>): Promise<Link> {
  if ((wanted ?? engine() !== "deno") && hasWorkers()) {
    try {
      return await workerLink(startWorker());
    } catch (thrown) {
      if (thrown instanceof DeviceError && thrown.detail === "version") throw thrown;
      // `model.device.thread` says which thread is used.
    }
  }
  return callerLink();
}

/** A link to a worker that was just started. Rejects if it does not start (content security policy, `file:` address, other origin). */
async function workerLink(worker: Worker): Promise<Link> {
  try {
    const hello = await new Promise<FromEngine>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<FromEngine>) => resolve(data); // its first message is hello
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new DeviceError(`the worker did not start: ${event.message || "its file could not be loaded"}`));
      };
    });
    checkWorkerVersion(hello.type === "hello" ? hello.version : undefined);
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
