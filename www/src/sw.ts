// The page's service worker; vite.config.js lists the files that it caches.
import { serveOffline } from "freeguide/service-worker";

declare const OFFLINE_VERSION: string;
declare const OFFLINE_FILES: string[];

// The runtimes are large and a visitor uses only one of them, so each is cached on first use or when the page asks for it.
serveOffline({ version: OFFLINE_VERSION, files: OFFLINE_FILES, onUse: ["./assets/"], page: "network" });
