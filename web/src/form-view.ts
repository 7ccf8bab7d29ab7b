/** The form of one recipe. */
import { h, numberIn } from "./dom";
import type { Entries, Named, Param, Said, Value } from "./entries";
import { PointsView, type Points } from "./points-view";
import { member } from "./state";
import { isPlane } from "./surface";
import { TEXTS } from "./texts";

const DRAWN = "(drawn)";
const KINDS = [
  ["activation", "activations"],
  ["init", "inits"],
  ["optimizer", "optimizers"],
  ["schedule", "schedules"],
  ["loss", "losses"],
] as const;

/** The form of a recipe; `changed` is called with the whole recipe. */
export class RecipeView {
  readonly element = h("fieldset", { class: "recipe" });
  private readonly points = h("div");
  private readonly more = h("div");
  private readonly rates = {
    activation: h("div"),
    init: h("div"),
    optimizer: h("div"),
    schedule: h("div"),
    loss: h("div"),
  };
  private key = ""; // of what the dependent fields were drawn for

  constructor(
    private readonly entries: Entries,
    private recipe: Said,
    private title: string,
    private readonly changed: (recipe: Said) => void,
  ) {
    this.draw();
  }

  show(recipe: Said, title: string): void {
    this.recipe = recipe;
    this.title = title;
    this.key = "";
    this.draw();
  }

  private set(part: Partial<Said>): void {
    this.recipe = { ...this.recipe, ...part };
    this.drawDependent();
    this.changed(this.recipe);
  }

  /** Draw all fields anew. */
  private draw(): void {
    this.element.replaceChildren(
      h("legend", {}, this.title),
      this.dataField(),
      this.points,
      this.hiddenField(),
      ...KINDS.map(([kind, plural]) => this.memberField(kind, plural)),
      this.numberField(TEXTS.epochs, "epochs", this.recipe.epochs ?? 1000, (epochs) =>
        this.set({ epochs: Math.max(1, Math.round(epochs)) }),
      ),
      h("details", {}, h("summary", {}, TEXTS.more), this.more),
    );
    this.drawDependent();
  }

  /** Draw what depends on the choices; the choices themselves stay, for somebody may be typing in them. */
  private drawDependent(): void {
    const { data } = this.recipe;
    const key = JSON.stringify([typeof data === "object", KINDS.map(([kind]) => member(this.recipe[kind]).name)]);
    if (this.key === key && this.points.isConnected) return;
    this.key = key;
    this.points.replaceChildren(
      ...(typeof data === "object" ? [new PointsView(data, (next) => this.set({ data: next })).element] : []),
    );
    for (const [kind, plural] of KINDS) {
      const { name } = member(this.recipe[kind]);
      const entry = this.entries[plural][name];
      const select = this.element.querySelector<HTMLSelectElement>(`[name="${this.title}.${kind}"]`);
      if (select) select.value = name;
      if (select) select.title = entry?.summary ?? "";
      const lr = entry?.params.find((param) => param.name === "lr");
      this.rates[kind].replaceChildren(...(lr ? [this.paramField(kind, lr, TEXTS.lr)] : []));
    }
    this.more.replaceChildren(...this.moreFields());
  }

  private select(
    label: string,
    name: string,
    options: [string, string][],
    value: string,
    pick: (value: string) => void,
  ): HTMLElement {
    const select = h(
      "select",
      { name: `${this.title}.${name}`, onchange: (event) => pick((event.target as HTMLSelectElement).value) },
      ...options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)),
    );
    return h("label", {}, h("span", {}, label), select);
  }

  private dataField(): HTMLElement {
    const { data } = this.recipe;
    const named: [string, string][] = Object.keys(this.entries.data).map((name) => [name, name]);
    const value = typeof data === "object" ? DRAWN : (data ?? "xor");
    return this.select(TEXTS.data, "data", [...named, [DRAWN, TEXTS.drawn]], value, (picked) => {
      if (picked === DRAWN) return this.set({ data: this.pointsOf(value) });
      const classes = this.entries.data[picked].classes;
      const loss = this.entries.losses[member(this.recipe.loss).name];
      const several = Object.entries(this.entries.losses).find(([, entry]) => entry.one_hot)?.[0];
      this.set({ data: picked, ...(classes > 2 && !loss?.one_hot && several ? { loss: several } : {}) });
    });
  }

  /** The rows of a data set as points to draw on. */
  private pointsOf(name: string): Points {
    const found = this.entries.data[name];
    return found && isPlane(found.inputs)
      ? { inputs: found.inputs, labels: found.labels }
      : {
          inputs: [
            [0, 0],
            [1, 1],
          ],
          labels: [0, 1],
        };
  }

  private hiddenField(): HTMLElement {
    const input = h("input", {
      name: `${this.title}.hidden`,
      value: (this.recipe.hidden ?? []).join(", "),
      inputmode: "text",
      title: TEXTS.hiddenHelp,
      onchange: (event) => {
        const words = (event.target as HTMLInputElement).value.split(/[\s,;]+/).filter(Boolean);
        this.set({ hidden: words.map(Number) });
      },
    });
    return h("label", {}, h("span", {}, TEXTS.hidden), input);
  }

  private memberField(kind: (typeof KINDS)[number][0], plural: (typeof KINDS)[number][1]): HTMLElement {
    const options: [string, string][] = Object.keys(this.entries[plural]).map((each) => [each, each]);
    const { name } = member(this.recipe[kind]);
    return h(
      "div",
      {},
      this.select(TEXTS[kind], kind, options, name, (picked) => this.set({ [kind]: { name: picked } })),
      this.rates[kind],
    );
  }

  private numberField(label: string, name: string, value: number, pick: (value: number) => void): HTMLElement {
    const input = h("input", {
      name: `${this.title}.${name}`,
      type: "number",
      step: "any",
      value,
      onchange: (event) => {
        const found = numberIn(event);
        if (found !== null) pick(found);
      },
    });
    return h("label", {}, h("span", {}, label), input);
  }

  private moreFields(): HTMLElement[] {
    return KINDS.flatMap(([kind, plural]) => {
      const params = this.entries[plural][member(this.recipe[kind]).name]?.params ?? [];
      return params
        .filter((param) => param.name !== "lr")
        .map((param) => this.paramField(kind, param, `${TEXTS[kind]}: ${param.name.replaceAll("_", " ")}`));
    });
  }

  private paramField(kind: (typeof KINDS)[number][0], param: Param, label: string): HTMLElement {
    const value = member(this.recipe[kind])[param.name] ?? param.default;
    const put = (next: Value): void =>
      this.set({ [kind]: { ...member(this.recipe[kind]), [param.name]: next } as Named });
    const field = this.valueField(`${kind}.${param.name}`, label, param, value, put);
    field.title = param.doc;
    return field;
  }

  private valueField(
    name: string,
    label: string,
    param: Param,
    value: Value,
    put: (value: Value) => void,
  ): HTMLElement {
    if (typeof value === "boolean") {
      const box = h("input", {
        name: `${this.title}.${name}`,
        type: "checkbox",
        checked: value,
        onchange: (event) => put((event.target as HTMLInputElement).checked),
      });
      return h("label", {}, h("span", {}, label), box);
    }
    if (typeof value === "number") return this.numberField(label, name, value, put);
    if (Array.isArray(value)) {
      const fields = value.map((each, n) =>
        this.numberField(`${label} ${n + 1}`, `${name}.${n}`, each, (next) =>
          put((value = (value as number[]).map((old, k) => (k === n ? next : old)))),
        ),
      );
      return h("div", {}, ...fields);
    }
    const choices = this.choices(name.split(".")[0], param);
    if (choices.length > 1)
      return this.select(
        label,
        name,
        choices.map((each) => [each, each]),
        String(value),
        put,
      );
    const input = h("input", {
      name: `${this.title}.${name}`,
      value: String(value ?? ""),
      onchange: (event) => {
        const word = (event.target as HTMLInputElement).value.trim();
        if (word === "") put(param.default);
        else put(Number.isFinite(Number(word)) ? Number(word) : word);
      },
    });
    return h("label", {}, h("span", {}, label), input);
  }

  /** What a parameter that is a word may be: what its formulas ask about, or for biases the schemes. */
  private choices(kind: string, param: Param): string[] {
    if (kind === "init" && param.name === "bias")
      return ["same", ...Object.entries(this.entries.inits).flatMap(([name, init]) => (init.biases ? [name] : []))];
    const plural = KINDS.find(([each]) => each === kind)?.[1] ?? "inits";
    const entry = this.entries[plural][member(this.recipe[kind as "init"]).name];
    const keys = Object.keys(entry?.forms ?? {}).flatMap((key) => key.split(","));
    return [...new Set(keys.filter((part) => part.startsWith(`${param.name}=`)).map((part) => part.split("=")[1]))];
  }
}
