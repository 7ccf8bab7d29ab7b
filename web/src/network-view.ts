/** One network: its surface, its units, its weights, and why it is as it is. */
import { boxOf, paintHistogram, paintLarge } from "./draw";
import { brief, h, numberIn } from "./dom";
import type { Entries } from "./entries";
import type { Diagnosed, Inspected } from "./messages";
import type { Spec } from "./spec";
import { initialWeights } from "./start";
import { isPlane } from "./surface";
import { MEASURES, TEXTS } from "./texts";
import type { Training } from "./trainer";

const SIZE = 64;
const ROWS = 64; // of data, at most, that are shown as a table

/** The rows of a table: what a network gives on each row of its data. */
function rowsOf(spec: Spec, values: Float32Array): HTMLElement[] {
  const heads = [...spec.inputs[0].map((_, n) => TEXTS.input(n + 1)), TEXTS.wanted, TEXTS.given];
  return [
    h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text))),
    ...spec.inputs.map((inputs, row) =>
      h("tr", {}, ...[...inputs, spec.labels[row], brief(values[row])].map((value) => h("td", {}, String(value)))),
    ),
  ];
}

export class NetworkView {
  readonly element = h("section", { class: "network", id: "network", "aria-live": "off" });
  private readonly surface = h("canvas", { class: "large", role: "img" });
  private readonly heading = h("h2", {});
  private readonly why = h("p", { id: "why" });
  private readonly measured = h("dl", {});
  private readonly rowsTable = h("table", {});
  private readonly rows = h(
    "details",
    { class: "rows" },
    h("summary", {}, TEXTS.rows),
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": TEXTS.rows }, this.rowsTable),
  );
  private readonly tables = h("div", { class: "tables" });
  private weights: Float32Array = new Float32Array();
  private shape = "";

  constructor(
    private readonly entries: Entries,
    private readonly edited: (weights: Float32Array) => void,
  ) {
    this.empty();
  }

  empty(): void {
    this.shape = "";
    this.element.replaceChildren(h("p", { class: "note" }, TEXTS.choose));
  }

  /** Show a network as it is now. */
  async show(training: Training, network: number, diagnosis: Diagnosed | null, which: string): Promise<void> {
    const { spec } = training;
    const box = boxOf(spec.inputs);
    const surfaces = await training.surfaces([network], SIZE, box);
    this.weights = await training.weightsOf(network);
    const inside = await training.inspect(network);
    const start = training.start(network) ?? initialWeights(spec, training.seed + network);
    if (!this.element.contains(this.surface)) {
      this.element.replaceChildren(
        this.heading,
        h("div", { class: "two" }, this.surface, h("div", {}, h("h3", {}, TEXTS.why), this.why, this.measured)),
        this.rows,
        this.tables,
      );
    }
    this.heading.textContent = TEXTS.chosen(training.seed + network, which);
    const values = surfaces.get(network);
    const first = spec.layers.length > 1 && isPlane(spec.inputs) ? spec.layers[0] : null;
    const units = (weights: Float32Array): number[][] =>
      first
        ? Array.from({ length: first.fanOut }, (_, o) => [
            weights[first.weight + 2 * o],
            weights[first.weight + 2 * o + 1],
            weights[first.bias + o],
          ])
        : [];
    if (values) paintLarge(this.surface, values, spec, box, { now: units(this.weights), start: units(start) });
    this.showWhy(training, diagnosis, network);
    this.rows.hidden = !values || isPlane(spec.inputs) || spec.inputs.length > ROWS;
    if (values && !this.rows.hidden) this.rowsTable.replaceChildren(...rowsOf(spec, values));
    this.showWeights(spec);
    this.showLayers(spec, inside);
  }

  /** Gradients, units that are off, and what the units give. */
  private showLayers(spec: Spec, inside: Inspected): void {
    spec.layers.forEach((_, n) => {
      const table = this.tables.querySelector(`[data-layer="${n}"]`);
      const caption = table?.querySelector("caption");
      if (caption) caption.textContent = TEXTS.layer(String(2 * n), brief(inside.gradients[n]));
      table?.querySelectorAll<HTMLElement>("tr > th[scope=row]").forEach((head, o) => {
        const off = inside.off[n]?.[o] ?? false;
        head.textContent = off ? `${o + 1} ${TEXTS.unitOff}` : String(o + 1);
        head.title = off ? TEXTS.unitOffHelp : "";
      });
      const canvas = table?.querySelector("canvas");
      const note = table?.querySelector("figcaption");
      if (!canvas || !note) return;
      const { low, high } = paintHistogram(canvas, inside.values[n]);
      note.textContent = TEXTS.histogram(brief(low), brief(high));
      canvas.setAttribute("aria-label", note.textContent);
    });
  }

  private showWhy(training: Training, diagnosis: Diagnosed | null, network: number): void {
    const name = diagnosis?.verdicts[network];
    const entry = this.entries.verdicts.find((each) => each.name === name);
    const label = isPlane(training.spec.inputs) ? TEXTS.surfaceLabel : TEXTS.rowsLabel;
    this.surface.setAttribute("aria-label", label(name?.replaceAll("_", " ") ?? TEXTS.notYet));
    if (!diagnosis || !entry) {
      this.why.textContent = TEXTS.verdictsWait;
      this.measured.replaceChildren();
      return;
    }
    this.why.replaceChildren(
      h("strong", {}, `${entry.name.replaceAll("_", " ")}: `),
      `${entry.summary}. ${entry.meaning}`,
    );
    const told = [...new Set([...entry.measures, "final_loss"])];
    const items = told.flatMap((measure) => {
      const value = diagnosis.numbers[measure]?.[network];
      return value === undefined || Number.isNaN(value)
        ? []
        : [h("dt", {}, MEASURES[measure] ?? measure), h("dd", {}, brief(value))];
    });
    this.measured.replaceChildren(...items);
  }

  private showWeights(spec: Spec): void {
    const shape = spec.layers.map((layer) => `${layer.fanIn}-${layer.fanOut}`).join();
    if (this.shape !== shape || this.tables.childElementCount === 0) {
      this.shape = shape;
      this.tables.replaceChildren(
        h("h3", {}, TEXTS.weights),
        h("p", { class: "note" }, TEXTS.weightsHelp),
        ...spec.layers.map((_, n) => this.table(spec, n)),
      );
    }
    this.tables.querySelectorAll<HTMLInputElement>("input").forEach((input) => {
      if (input !== document.activeElement) input.value = brief(this.weights[Number(input.dataset["place"])]);
    });
  }

  private table(spec: Spec, number: number): HTMLElement {
    const layer = spec.layers[number];
    const cell = (place: number, label: string): HTMLElement => {
      const change = (event: Event): void => {
        const value = numberIn(event);
        if (value === null) return;
        const weights = Float32Array.from(this.weights);
        weights[place] = value;
        this.edited(weights);
      };
      return h(
        "td",
        {},
        h("input", { type: "number", step: "any", "data-place": place, "aria-label": label, onchange: change }),
      );
    };
    const head = [...Array.from({ length: layer.fanIn }, (_, i) => String(i + 1)), TEXTS.bias];
    const rows = Array.from({ length: layer.fanOut }, (_, o) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, String(o + 1)),
        ...Array.from({ length: layer.fanIn }, (_, i) =>
          cell(layer.weight + o * layer.fanIn + i, `${2 * number}.weight ${o + 1}, ${i + 1}`),
        ),
        cell(layer.bias + o, `${2 * number}.bias ${o + 1}`),
      ),
    );
    const caption = h("caption", {});
    const values =
      number < spec.hidden.length
        ? h("figure", {}, h("canvas", { class: "histogram", role: "img" }), h("figcaption", { class: "note" }))
        : null;
    return h(
      "div",
      { class: "scroll", tabindex: 0, "data-layer": number },
      h(
        "table",
        {},
        caption,
        h("tr", {}, h("th", {}), ...head.map((text) => h("th", { scope: "col" }, text))),
        ...rows,
      ),
      values,
    );
  }
}
