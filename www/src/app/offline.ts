import type { Model } from "freeguide";
import { keepOffline } from "freeguide/service-worker";
import type { ModelHost } from "./host.js";
import { modelUrl, shippedModels } from "./models.js";

/**
 * Makes the page an app that works without a network: its own files from the first visit on, the runtime that is used, and
 * models of this site once they were opened. Returns what to call with every model that is opened.
 */
export function setUpOffline(host: ModelHost): (model: Model) => void {
  // The development server's files change, and it has no service worker.
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return () => {};
  void navigator.serviceWorker.register("./sw.js").catch(() => {}); // the page works without it
  return ({ device }) => {
    const { asked } = host;
    void shippedModels().then((shipped) => {
      // Models of other sites are not cached.
      const ours = shipped.filter(({ folder }) => folder === asked).map(({ folder }) => modelUrl(folder));
      keepOffline({ files: ["./models/index.json"], models: ours, runtime: device.kind }).catch(() => {});
    });
  };
}
