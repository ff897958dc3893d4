import { measured, onnxFile, options } from "./sampling.js";

measured(async () => {
  const { provider, threads } = options;
  const ort = await import(provider === "webgpu" ? "/ort/ort.webgpu.min.mjs" : "/ort/ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = new URL("/ort/", location.href).href;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(`/onnx/${onnxFile}`, { executionProviders: [provider], graphOptimizationLevel: "all" });
  return async (z, shape, logSnr, classes) => {
    const answer = await session.run({
      z: new ort.Tensor("float32", z, shape),
      log_snr: new ort.Tensor("float32", logSnr, [shape[0]]),
      class: new ort.Tensor("int64", BigInt64Array.from(classes, BigInt), [shape[0]]),
    });
    return Object.values(answer)[0].data;
  };
});
