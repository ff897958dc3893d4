// The worker's file: started by `packaged.ts` and, to help, by itself; never imported.
import { packagedBuilds } from "./builds.js";
import { becomeEngine } from "./worker-engine.js";

becomeEngine(packagedBuilds());
