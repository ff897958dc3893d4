// The page's service worker; vite.config.js says which files it keeps.
import { serveOffline } from "freeguide/service-worker";

declare const OFFLINE_VERSION: string;
declare const OFFLINE_FILES: string[];

// The runtimes are large, and only one of the two is of use to a visitor: kept once it was used, or when the page says so.
serveOffline({ version: OFFLINE_VERSION, files: OFFLINE_FILES, onUse: ["./assets/"], page: "network" });
