import type { Builds } from "./build.js";
import { version } from "./built.js";
import { Engine } from "./engine.js";
import { messageOf } from "./errors.js";
import { Helper, type FromHelper, type HelperWorker, type ToHelper } from "./helper.js";
import type { FromEngine, ToEngine } from "./protocol.js";

/** The part of a dedicated worker's global scope that is used here. */
interface WorkerScope {
  readonly location: { readonly href: string };
  postMessage(message: FromEngine | FromHelper, transfer?: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent<ToEngine | ToHelper>) => void): void;
  addEventListener(type: "error", listener: (event: ErrorEvent) => void): void;
  addEventListener(type: "unhandledrejection", listener: (event: PromiseRejectionEvent) => void): void;
}

/** Makes this worker an engine, or a helper of one, with these builds. */
export function becomeEngine(builds: Builds): void {
  const scope = globalThis as unknown as WorkerScope;
  // This very file, wherever a bundler or a page has put it.
  const openHelper = (): HelperWorker =>
    new Worker(scope.location.href, { type: "module", name: "freeguide-helper" }) as unknown as HelperWorker;
  const engine = new Engine(builds, (message, transfer) => scope.postMessage(message, transfer ?? []), openHelper);
  const helper = new Helper(builds.cpu, (message, transfer) => scope.postMessage(message, transfer ?? []));

  scope.addEventListener("message", ({ data }) => {
    if ("to" in data) helper.receive(data);
    else engine.receive(data);
  });
  // A panic inside an asynchronous call surfaces only here. It stays an uncaught error, so that the console shows it.
  scope.addEventListener("error", (event) => engine.crashed(event.message));
  scope.addEventListener("unhandledrejection", ({ reason }: { reason: unknown }) => {
    if (reason instanceof WebAssembly.RuntimeError) engine.crashed(messageOf(reason));
  });
  scope.postMessage({ type: "hello", version });
}
