/**
 * Offline pages: `serveOffline` in the service worker's file, `keepOffline` in the page. Importing it does nothing.
 *
 * @packageDocumentation
 */
export { keepOffline, type RuntimeInUse } from "./offline/keep.js";
export { serveOffline, type Keep, type OfflineOptions } from "./offline/serve.js";
