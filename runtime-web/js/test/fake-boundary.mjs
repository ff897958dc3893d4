// A stand-in for the wasm crate with the same surface: no network, but images that depend on seed, class and guidance,
// every error that the real one can make, and a ledger of what was freed. For tests only.

export class FakeError extends Error {
  constructor(code, message, detail) {
    super(message);
    this.code = code;
    if (detail !== undefined) this.detail = detail;
  }
}

function hash(...numbers) {
  let h = 0x811c9dc5;
  for (const n of numbers) {
    h = Math.imul(h ^ (n & 0xffff), 0x01000193);
    h = Math.imul(h ^ (Math.floor(n / 65536) & 0xffff), 0x01000193);
    h ^= h >>> 13;
  }
  return (h >>> 0) / 4294967296;
}

/** One picture: a disc with a face, placed and coloured by seed and class, more typical as w grows. */
function paint(size, seed, image, classId, guidance, noise) {
  const out = new Uint8Array(size * size * 4);
  const typical = 1 / (1 + Math.max(0, guidance + 1));
  const hue = ((classId + 1) * 0.21 + (hash(seed, image, 1) - 0.5) * typical * 0.6 + 1) % 1;
  const cx = size / 2 + (hash(seed, image, 2) - 0.5) * size * 0.4 * typical;
  const cy = size / 2 + (hash(seed, image, 3) - 0.5) * size * 0.4 * typical;
  const radius = size * (0.42 - 0.2 * typical * hash(seed, image, 4));
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const d = Math.hypot(x + 0.5 - cx, y + 0.5 - cy) / radius;
      const eye = Math.abs(y - cy + radius * 0.2) < 1 && Math.abs(Math.abs(x + 0.5 - cx) - radius * 0.4) < 1;
      const mouth = Math.abs(y - cy - radius * 0.45) < 0.8 && Math.abs(x + 0.5 - cx) < radius * 0.45;
      for (let c = 0; c < 3; c++) {
        const wave = 0.5 + 0.5 * Math.cos(6.283 * (hue + c / 3));
        let v = d < 1 ? 90 + 165 * wave * (1 - 0.35 * d) : 255;
        if (d < 1 && (eye || mouth)) v = 50;
        const n = 255 * hash(seed, image, 7 + c, x, y);
        out[(y * size + x) * 4 + c] = Math.round(v * (1 - noise) + n * noise);
      }
      out[(y * size + x) * 4 + 3] = 255;
    }
  }
  return out;
}

/**
 * A boundary. `options`: `failOpen`, `failSelfTest`, `panicAtStep`, `hangAtStep`, `stepMilliseconds`, `onRows` (hears of
 * rows that are computed, where and how many), `onStep` (of every step, in which precision and of how many rows),
 * `notFiniteAtStep` (from which step on a model in 16 bits has lost its values); `ledger` counts what is alive and what was run.
 */
export function fakeBoundary(options = {}) {
  const ledger = { devices: 0, loaders: 0, models: 0, runs: 0, steps: 0, active: 0, overlap: false, requests: [], resumed: [], tested: [], probed: [] };

  class Device {
    static async open() {
      options.onOpen?.();
      if (options.failOpen) throw options.failOpen;
      // As wgpu does it.
      if (options.gpu) await (await navigator.gpu.requestAdapter()).requestDevice({});
      ledger.devices += 1;
      return new Device();
    }
    name = options.name ?? "fake device";
    async selfTest(half) {
      ledger.tested.push(half ? "f16" : "f32");
      if (options.failSelfTest) throw options.failSelfTest;
      if (half && options.failHalf) throw options.failHalf;
    }
    free() {
      ledger.devices -= 1;
    }
  }

  class Loader {
    #files;
    #config;
    #open;
    #done = 0;
    #half;
    constructor(configJson, device, half) {
      this.#half = half;
      let config;
      try {
        config = JSON.parse(configJson);
      } catch {
        throw new FakeError("bundle", "config.json is not JSON", "bad-json");
      }
      if (config.format_version !== 1) {
        throw new FakeError("bundle", `a newer format, written by ${config.written_by}`, "newer-version");
      }
      this.#config = config;
      this.#files = config.weights.map(({ file, bytes, sha256 }) => ({ name: file, bytes, sha256 }));
      ledger.loaders += 1;
    }
    files() {
      return JSON.stringify(this.#files);
    }
    memory() {
      return JSON.stringify(options.memory ?? { weights: 1e6, largest: 1e5, kept: 1e5, row: 1e5, activation: 1e4 });
    }
    begin(name) {
      this.#open = { ...this.#files[this.#done], got: 0, sum: 0 };
      if (this.#open.name !== name) throw new Error("wrong order");
    }
    push(chunk) {
      this.#open.got += chunk.length;
      for (const byte of chunk) this.#open.sum = (this.#open.sum * 31 + byte) >>> 0;
    }
    end() {
      const { got, bytes, sum, sha256 } = this.#open;
      if (got !== bytes) throw new FakeError("bundle", `has ${got} bytes instead of ${bytes}`, "wrong-length");
      // The fake's "SHA-256" is a sum, written in eight hexadecimal digits; `any` fits every file.
      if (sha256 !== "any" && sum.toString(16).padStart(8, "0") !== sha256) {
        throw new FakeError("bundle", "has another SHA-256", "wrong-hash");
      }
      this.#done += 1;
    }
    finish() {
      ledger.loaders -= 1;
      return new Model(this.#config, this.#half);
    }
    free() {
      ledger.loaders -= 1;
    }
  }

  class Model {
    #config;
    #guide;
    constructor(config, half) {
      this.#config = config;
      this.half = half && (options.half ?? false);
      ledger.models += 1;
    }
    resume(requestJson, step, state) {
      const run = this.sample(requestJson);
      if (state.length !== 2 || state[0] !== run.sum(step)) throw new FakeError("input", "the state belongs to another run");
      run.step = step;
      ledger.resumed.push([this.half ? "f16" : "f32", step]);
      return run;
    }
    get config() {
      return JSON.stringify(this.#config);
    }
    guideBy(other) {
      const { name, classes } = JSON.parse(other.config);
      if (String(classes) !== String(this.#config.classes)) throw new FakeError("input", `${name} cannot guide ${this.#config.name}`);
      this.#guide = name;
    }
    #complete(requestJson) {
      const request = { guidance: 2, steps: 8, seed: 0, first_image: 0, sampler: "ddim", ...JSON.parse(requestJson) };
      request.ids = request.classes.map((choice) => {
        if (choice === null) return -1;
        if (typeof choice === "object") return this.#config.classes.indexOf(Object.keys(choice)[0]);
        const id = typeof choice === "number" ? choice : this.#config.classes.indexOf(choice);
        if (id < 0 || id >= this.#config.classes.length) throw new FakeError("input", `no class ${choice}`, "classes");
        return id;
      });
      return request;
    }
    plan(requestJson) {
      const { steps, guidance, classes, ids, seed, sampler, first_image } = this.#complete(requestJson);
      const rows = guidance === 0 || guidance === -1 ? classes.length : 2 * classes.length;
      const levels = Array.from({ length: steps }, (_, at) => at - steps / 2);
      const nfe = guidance === 0 || guidance === -1 ? steps : 2 * steps;
      const { name: model, classes: names } = this.#config;
      const settings = ids.map((id, at) => ({ model, class: names[id] ?? null, guide: this.#guide, guidance, steps, sampler, seed, image: first_image + at }));
      return JSON.stringify({ steps, nfe, levels, rows, settings });
    }
    sample(requestJson) {
      const request = this.#complete(requestJson);
      ledger.requests.push(request);
      ledger.runs += 1;
      return new Run(this, request, this.#config.image.size);
    }
    async probe() {
      ledger.probed.push(this.half ? "f16" : "f32");
      if (options.failProbe) throw options.failProbe;
      return Float32Array.of(0.5, this.half && options.halfOff ? options.halfOff : (options.off ?? -0.5));
    }
    predict(z, logSnr, classes) {
      options.onRows?.("helper", classes.length);
      return z.slice();
    }
    free() {
      ledger.models -= 1;
    }
  }

  class Run {
    step = 0;
    #model;
    #request;
    #size;
    constructor(model, request, size) {
      this.#model = model;
      this.#request = request;
      this.#size = size;
      this.steps = request.steps;
      this.nfe = JSON.parse(model.plan(JSON.stringify(request))).nfe;
    }
    async advance() {
      if (ledger.active > 0) ledger.overlap = true;
      ledger.active += 1;
      const step = this.step + 1;
      if (options.panicAtStep === step) {
        ledger.panic("panicked at step.rs:1:2: too much");
        throw new WebAssembly.RuntimeError("unreachable");
      }
      if (options.hangAtStep === step) {
        options.onHang?.();
        await new Promise(() => {});
      }
      if (options.lostAtStep === step) {
        ledger.active -= 1;
        throw new FakeError("device", "the GPU was lost");
      }
      options.onStep?.(this.#model.half ? "f16" : "f32", JSON.parse(this.#model.plan(JSON.stringify(this.#request))).rows);
      if (options.stepMilliseconds) await new Promise((resolve) => setTimeout(resolve, options.stepMilliseconds));
      this.step = step;
      ledger.steps += 1;
      ledger.active -= 1;
    }
    /** What a run of this request has come to after so many steps. */
    sum(step) {
      return hash(this.#request.seed, this.#request.first_image, step, ...this.#request.ids);
    }
    async settle() {
      if (this.#request.tolerance === this.step) this.steps = this.step;
    }
    async state() {
      return Float64Array.of(this.sum(this.step), 0);
    }
    async isFinite() {
      return this.step < (options.notFiniteAtStep ?? Infinity);
    }
    async branches() {
      const { ids, guidance } = this.#request;
      const size = this.#size * this.#size * 4;
      const out = new Uint8Array(2 * ids.length * size);
      const whole = await this.images("denoised");
      out.set(whole, guidance === -1 ? whole.length : 0);
      if (guidance !== 0) out.set(whole.map((byte) => byte | 1), whole.length);
      ids.forEach((id, at) => {
        if (id < 0) out.fill(0, at * size, (at + 1) * size);
      });
      return out;
    }
    get rows() {
      if (options.gpu) return undefined; // a GPU shares nothing

      return JSON.parse(this.#model.plan(JSON.stringify(this.#request))).rows;
    }
    evaluate() {
      options.onRows?.("engine", this.rows);
      this.step += 1;
      return true;
    }
    divide(parts) {
      this.own = Math.ceil(this.rows / parts);
      const others = [];
      for (let [from, left] = [this.own, parts - 1]; left > 0; left -= 1) {
        const classes = new Uint32Array(Math.ceil((this.rows - from) / left));
        const first = from;
        others.push({ z: Float32Array.from(classes, (_, at) => first + at), logSnr: 0, classes, free() {} });
        from += classes.length;
      }
      return others;
    }
    compute() {
      options.onRows?.("half", this.own);
    }
    join(answer) {
      if (answer.length !== this.rows - this.own) throw new Error("not as many as there are rows");
      if (answer.some((value, at) => value !== this.own + at)) throw new Error("not the answer to these rows");
      this.step += 1;
      return true;
    }
    async images(kind) {
      const { ids, seed, first_image, guidance, steps } = this.#request;
      const noise = kind === "latent" ? 1 - this.step / steps : Math.max(0, 1 - (1.6 * this.step) / steps);
      const out = new Uint8Array(ids.length * this.#size * this.#size * 4);
      ids.forEach((id, k) => {
        const last = this.step >= steps;
        out.set(paint(this.#size, seed, first_image + k, id, guidance, last ? 0 : noise), k * this.#size * this.#size * 4);
      });
      return out;
    }
    free() {
      ledger.runs -= 1;
    }
  }

  const onPanic = (listener) => (ledger.panic = listener);
  const onTrap = (listener) => (ledger.trap = listener);
  return { boundary: { default: async () => {}, Device, Loader, onPanic, onTrap }, ledger };
}
