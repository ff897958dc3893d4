import type { Model } from "freeguide";
import { keepOffline } from "freeguide/service-worker";
import type { ModelHost } from "./host.js";
import { modelUrl, shippedModels } from "./models.js";

/**
 * Makes the page an app that works without a network: its own files from the first visit on, and a model of this site
 * once it was opened. Returns what to call with every model that is opened.
 */
export function setUpOffline(host: ModelHost): (model: Model) => void {
  // The development server's files change, and it has no service worker.
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return () => {};
  void navigator.serviceWorker.register("./sw.js").catch(() => {}); // the page does without
  return () => {
    const { asked } = host;
    if (asked === undefined) return;
    void shippedModels().then((shipped) => {
      // Somebody else's address is theirs to keep or change.
      if (shipped.some(({ folder }) => folder === asked)) {
        keepOffline({ files: ["./models/index.json"], models: [modelUrl(asked)] }).catch(() => {});
      }
    });
  };
}
