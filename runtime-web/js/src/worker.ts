// The worker's file: started by `link.ts`, never imported.
import { packagedBuilds } from "./builds.js";
import { Engine } from "./engine.js";
import { messageOf } from "./errors.js";
import type { FromEngine, ToEngine } from "./protocol.js";

/** The part of a dedicated worker's global scope that is used here. */
interface WorkerScope {
  postMessage(message: FromEngine, transfer?: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent<ToEngine>) => void): void;
  addEventListener(type: "error", listener: (event: ErrorEvent) => void): void;
  addEventListener(type: "unhandledrejection", listener: (event: PromiseRejectionEvent) => void): void;
}

const scope = globalThis as unknown as WorkerScope;
const engine = new Engine(packagedBuilds(), (message, transfer) => scope.postMessage(message, transfer ?? []));

scope.addEventListener("message", ({ data }) => engine.receive(data));
// A panic inside an asynchronous call surfaces only here. It stays an uncaught error, so that the console shows it.
scope.addEventListener("error", (event) => engine.crashed(event.message));
scope.addEventListener("unhandledrejection", ({ reason }: { reason: unknown }) => {
  if (reason instanceof WebAssembly.RuntimeError) engine.crashed(messageOf(reason));
});
scope.postMessage({ type: "hello" });
