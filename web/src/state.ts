/** What the page shows, as a value: in the address, and as a command. */
import type { Entries, Named, Said, Value } from "./entries";

export interface State {
  recipes: Said[]; // one, or two to compare
  networks: number;
  seed: number;
}

/** The state of an address's hash; null where it holds none, or one that is no state. */
export function fromHash(hash: string): State | null {
  try {
    const found = JSON.parse(decodeURIComponent(hash.slice(1))) as State;
    const whole =
      Array.isArray(found.recipes) &&
      found.recipes.length > 0 &&
      found.recipes.every((recipe) => typeof recipe === "object");
    return whole && Number.isInteger(found.networks) && Number.isInteger(found.seed)
      ? { ...found, recipes: found.recipes.slice(0, 2) }
      : null;
  } catch {
    return null;
  }
}

export function toHash(state: State): string {
  return `#${encodeURIComponent(JSON.stringify(state))}`;
}

/** A member with its parameters. */
export function member(named: Named | undefined): { name: string } & Record<string, Value> {
  return typeof named === "object" ? named : { name: named ?? "" };
}

const text = (value: Value): string =>
  Array.isArray(value) ? `[${value.join(",")}]` : value === null ? "null" : String(value);
const quoted = (word: string): string => (/^[\w.=/-]+$/.test(word) ? word : `'${word}'`);

/** The command that trains the same. */
export function command(entries: Entries, recipe: Said, seed: number, networks: number): string {
  const words: string[] = [];
  if (typeof recipe.data === "object")
    words.push("data=csv", "data.path=points.csv", "data.target=label", "solved.tolerance=0.5");
  else words.push(`data=${recipe.data}`, ...(entries.data[recipe.data ?? ""]?.said ?? []));
  words.push(recipe.hidden?.length ? `model.hidden=[${recipe.hidden.join(",")}]` : "model=perceptron");
  const kinds = [
    ["activation", entries.activations],
    ["init", entries.inits],
    ["optimizer", entries.optimizers],
    ["schedule", entries.schedules],
    ["loss", entries.losses],
  ] as const;
  for (const [kind, known] of kinds) {
    if (kind === "activation" && !recipe.hidden?.length) continue; // a perceptron's is its output's
    const { name, ...params } = member(recipe[kind]);
    if (!name) continue; // a link from before the page had it
    words.push(`${kind}=${name}`);
    for (const param of known[name]?.params ?? []) {
      const value = params[param.name];
      if (value !== undefined && text(value) !== text(param.default))
        words.push(`${kind}.${param.name}=${text(value)}`);
    }
  }
  if (recipe.tolerance != null) words.push(`solved.tolerance=${recipe.tolerance}`);
  if (recipe.log_every != null) words.push(`train.log_every=${recipe.log_every}`);
  words.push(`train.epochs=${recipe.epochs ?? 1000}`, `seed=${seed}`, `replicates=${networks}`);
  return `python run.py ${words.map(quoted).join(" ")}`;
}
