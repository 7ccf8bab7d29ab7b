/** Weights as tensors by name, networks first: as nested lists, and as a safetensors file. */
import type { Entries, Said } from "./entries";
import { type Spec, resolve } from "./spec";

export type Nested = number | Nested[];

function flat(nested: Nested, room: number[] = []): number[] {
  if (typeof nested === "number") room.push(nested);
  else for (const inner of nested) flat(inner, room);
  return room;
}

function nest(values: ArrayLike<number>, start: number, shape: number[]): Nested {
  if (!shape.length) return values[start];
  const [first, ...rest] = shape;
  const size = rest.reduce((a, b) => a * b, 1);
  return Array.from({ length: first }, (_, n) => nest(values, start + n * size, rest));
}

/** The tensors of networks' weights. */
export function toTensors(spec: Spec, weights: Float32Array[]): Record<string, Nested> {
  return Object.fromEntries(
    spec.tensors.map(({ name, shape, start }) => [name, weights.map((own) => nest(own, start, shape))]),
  );
}

/** The weights of networks from their tensors.
 *
 * Throws an error where a tensor is missing, too many, or of another shape. */
export function fromTensors(entries: Entries, said: Said, tensors: Record<string, Nested>): Float32Array[] {
  return joined(
    resolve(entries, said),
    Object.fromEntries(Object.entries(tensors).map(([name, nested]) => [name, Float32Array.from(flat(nested))])),
  );
}

/** The same from flat tensors. */
export function joined(spec: Spec, tensors: Record<string, Float32Array>): Float32Array[] {
  const names = spec.tensors.map(({ name }) => name);
  const given = Object.keys(tensors);
  if (given.length !== names.length || !names.every((name) => name in tensors)) {
    throw new Error(
      `weights must be the tensors ${names.join(", ")}, but are ${given.join(", ")}; take a spec with the same hidden layers`,
    );
  }
  const [first] = spec.tensors;
  const networks = tensors[first.name].length / size(first.shape);
  const weights = Array.from({ length: networks }, () => new Float32Array(spec.parameters));
  for (const { name, shape, start } of spec.tensors) {
    const count = size(shape);
    if (tensors[name].length !== networks * count || !Number.isInteger(networks) || networks < 1) {
      throw new Error(
        `${name} must have the shape [networks, ${shape.join(", ")}], but has ${tensors[name].length} numbers`,
      );
    }
    weights.forEach((own, n) => own.set(tensors[name].subarray(n * count, (n + 1) * count), start));
  }
  return weights;
}

const size = (shape: number[]): number => shape.reduce((a, b) => a * b, 1);

/** A safetensors file of networks' weights. */
export function toFile(spec: Spec, weights: Float32Array[]): Uint8Array<ArrayBuffer> {
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = {};
  const parts: Float32Array[] = [];
  let at = 0;
  for (const { name, shape, start } of spec.tensors) {
    const count = size(shape);
    const bytes = 4 * count * weights.length;
    header[name] = { dtype: "F32", shape: [weights.length, ...shape], data_offsets: [at, at + bytes] };
    for (const own of weights) parts.push(own.subarray(start, start + count));
    at += bytes;
  }
  const written = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(written.length / 8) * 8;
  const file = new Uint8Array(8 + padded + at);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.fill(0x20, 8, 8 + padded);
  file.set(written, 8);
  let place = 8 + padded;
  for (const part of parts) {
    file.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), place);
    place += part.byteLength;
  }
  return file;
}

/** The tensors of a safetensors file.
 *
 * Throws an error where it is none, or has other than float32 or float64 numbers. */
export function fromFile(file: ArrayBuffer): Record<string, Float32Array> {
  const bad = (): never => {
    throw new Error(
      "the file must be safetensors with float32 or float64 tensors; nnspec writes weights/final.safetensors",
    );
  };
  if (file.byteLength < 8) bad();
  const length = Number(new DataView(file).getBigUint64(0, true));
  if (length > file.byteLength - 8) bad();
  let header: Record<string, { dtype: string; data_offsets: [number, number] }> = {};
  try {
    header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length))) as typeof header;
  } catch {
    bad();
  }
  const tensors: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [from, to] = tensor.data_offsets;
    if (!(from >= 0 && to >= from && 8 + length + to <= file.byteLength)) bad();
    const bytes = file.slice(8 + length + from, 8 + length + to);
    if (tensor.dtype === "F32") tensors[name] = new Float32Array(bytes);
    else if (tensor.dtype === "F64") tensors[name] = Float32Array.from(new Float64Array(bytes));
    else bad();
  }
  return tensors;
}
