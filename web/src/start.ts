/** Initial weights: noise of each network's own seed, made weights by the scheme's formula. */
import type { Form, Init } from "./entries";
import { inSingle } from "./form";
import { Generator } from "./random";
import { type Member, type Spec, paramLeaf } from "./spec";

/** The weights of one network, in the order of its tensors. */
export function initialWeights(spec: Spec, seed: number): Float32Array {
  const generator = new Generator(seed);
  const weights = new Float32Array(spec.parameters);
  for (const layer of spec.layers) {
    fill(
      spec,
      spec.init,
      generator,
      layer.fanIn,
      layer.fanOut,
      weights.subarray(layer.weight, layer.weight + layer.fanIn * layer.fanOut),
    );
    if (spec.biasInit)
      fill(
        spec,
        spec.biasInit,
        generator,
        layer.fanIn,
        layer.fanOut,
        weights.subarray(layer.bias, layer.bias + layer.fanOut),
      );
    const learned = spec.activation.entry.learned;
    if (layer.learned >= 0 && learned) weights[layer.learned] = Number(spec.activation.params[learned.start]);
  }
  return weights;
}

function fill(
  spec: Spec,
  init: Member<Init, Form>,
  generator: Generator,
  fanIn: number,
  fanOut: number,
  room: Float32Array,
): void {
  const noise = init.entry.noise.map((kind) =>
    kind === "uniform" ? room.map(() => generator.uniform()) : generator.normal(room.length),
  );
  const gain = init.params["gain"];
  const known: Record<string, number> = {
    fan_in: fanIn,
    fan_out: fanOut,
    gain: typeof gain === "number" ? gain : spec.gain,
  };
  const found = inSingle(init.forms, (name) => {
    const place = /^noise(\d)$/.exec(name);
    return place ? noise[Number(place[1])] : (known[name] ?? paramLeaf(init.params, name) ?? 0);
  });
  if (typeof found === "number") room.fill(found);
  else room.set(found);
}
