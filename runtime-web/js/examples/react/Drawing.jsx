import { loadModel } from "freeguide";
import { useEffect, useRef } from "react";

/** `<Drawing model="/models/emoji16/" className="food-drink" seed={7} />`: a canvas on which a picture takes shape. */
export function Drawing({ model: url, className, guidance = 2, steps, seed = 0, onDraw }) {
  const canvas = useRef(null);
  useEffect(() => {
    const left = new AbortController();
    const draw = async () => {
      const model = await loadModel(url, { signal: left.signal });
      const options = { classes: [className], guidance, steps, seed, signal: left.signal };
      for await (const { images } of model.sample(options)) canvas.current.getContext("2d").putImageData(images[0], 0, 0);
      onDraw?.(model);
      model.dispose();
    };
    draw().catch((error) => left.signal.aborted || Promise.reject(error));
    return () => left.abort();
  }, [url, className, guidance, steps, seed, onDraw]);
  return <canvas ref={canvas} width={16} height={16} />;
}
