/** Every text of the page. Names, summaries and reasons of entries come with the data. */

import type { Spec } from "./spec";
import type { Difference } from "./statistics";

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
const points = (share: number): string => (100 * share).toFixed(1);

export const TEXTS = {
  title: "A thousand networks at once",
  intro:
    "Every network here has the same recipe and another seed. Some learn, some do not. Press Start, then choose a network to see why.",
  filed: (name: string) =>
    `These are the networks of run ${name} as they ended. Rewind returns to their first weights; Start trains them again here.`,
  filedAgain: "Show them as they ended",
  recipe: (which: string) => `Recipe ${which}`,
  onlyRecipe: "Recipe",
  recipes: "What is trained",
  data: "data",
  drawn: "drawn by hand",
  drawHere: "Draw points: choose a class, then click or tap the plane.",
  drawClass: (k: number) => `class ${k}`,
  drawUndo: "remove the last point",
  drawEmpty: "draw at least one point of each class",
  drawLabel: "Plane for points drawn by hand. With the keyboard: the arrows move the cross, Enter sets a point.",
  hidden: "hidden layers",
  hiddenHelp: "units of each, as 4 or 8, 8; nothing: none",
  activation: "activation",
  init: "initialisation",
  optimizer: "optimizer",
  schedule: "schedule",
  loss: "loss",
  lr: "learning rate",
  epochs: "epochs",
  more: "more settings",
  networks: "networks",
  seed: "first seed",
  start: "Start",
  pause: "Pause",
  goOn: "Go on",
  step: "One update",
  rewind: "Rewind",
  compare: "compare with a second recipe, on the same seeds",
  training: "Training",
  rate: (solved: number, all: number, low: number, high: number) =>
    `${solved} of ${all} solved: ${percent(solved / all)}, 95% interval ${percent(low)} to ${percent(high)} (Wilson)`,
  at: (step: number, epochs: number) => `update ${step} of ${epochs}`,
  difference: ({ difference, low, high, p }: Difference) =>
    `A less B on the same seeds: ${points(difference)} points, 95% interval ${points(low)} to ${points(high)}, p ${p < 0.0001 ? "below 0.0001" : p.toPrecision(2)} (as nnspec compare)`,
  wall: (which: string) => (which ? `Networks of recipe ${which}` : "Networks"),
  wallHelp: (plane: boolean) =>
    `What each computes ${plane ? "over the plane" : "on each row of the data, from the top left"}, framed by its verdict. The arrow keys go from network to network.`,
  page: (first: number, last: number, all: number) => `${first} to ${last} of ${all}`,
  before: "earlier",
  after: "later",
  network: (seed: number, verdict: string, loss: string) => `network of seed ${seed}: ${verdict}, loss ${loss}`,
  solvedSoFar: "solved so far",
  notYet: "not solved yet",
  verdicts: "Verdicts",
  verdictsWait: "Verdicts are given when training ends or pauses.",
  losses: "Losses",
  lossesText: (low: string, middle: string, high: string) =>
    `The loss of each network by updates, on a logarithmic scale. At present the median is ${middle}; 10% to 90%: ${low} to ${high}.`,
  survival: "Not solved yet",
  survivalText: (share: number, median: string) =>
    `The share of networks that were never right so far, by updates: ${percent(share)} now. Half of all were first right by update ${median}.`,
  never: "(not yet)",
  chosen: (seed: number, which: string) => `Network of seed ${seed}${which}`,
  choose: "Choose a network above to see its surface, its units and its weights.",
  surfaceLabel: (verdict: string) =>
    `What the network computes over the plane, with the data and the lines at which its first hidden units are 0: dashed at the start, whole now. Verdict: ${verdict}.`,
  rowsLabel: (verdict: string) =>
    `What the network gives on each row of the data, a cell each from the top left, with the class that is right as a mark. Verdict: ${verdict}.`,
  rows: "Rows of the data",
  input: (n: number) => `input ${n}`,
  wanted: "class",
  given: "output",
  weights: "Weights",
  weightsHelp: "Change a number and press Go on: the network trains on from it.",
  why: "Why",
  share: "Keep and share",
  link: "Copy the link",
  linked: "The link is copied: it holds the recipe, the seed and the number of networks.",
  linkFailed: "Copy the address of this page: it is the link.",
  summary: ({ said, inputs, hidden, outputs, activation, init, optimizer, loss }: Spec) =>
    [
      typeof said.data === "object" ? TEXTS.drawn : said.data,
      [inputs[0].length, ...hidden, outputs].join("-"),
      ...(hidden.length ? [activation.name] : []),
      init.name,
      "lr" in optimizer.params ? `${optimizer.name} ${optimizer.params["lr"]}` : optimizer.name,
      loss.name,
    ].join(", "),
  picture: "Save a picture (PNG)",
  exportWeights: "Save the weights (safetensors)",
  importWeights: "Start from weights (safetensors)",
  imported: (count: number) => `${count} networks from the file. Rewind returns to them.`,
  points: "Save the points (CSV)",
  command: "The same in nnspec",
  copyCommand: "Copy the command",
  commandCopied: "The command is copied.",
  commandFailed: "Select the command and copy it.",
  commandMore: "a thousand seeds more:",
  leftOut: "What this page leaves out",
  leftOutHelp: "These entries of nnspec are not on this page:",
  leftOutTraining:
    "Of training it leaves out batches of some rows (each network would see them in an order of its own, and here four networks share every row), parts for tests, clipped gradients, early stops and learning rates by layer: nnspec has them.",
  noVerdict: (names: string) => `Verdicts that the page does not give: ${names}.`,
  about: (version: string) =>
    `nnspec ${version}. Formulas, thresholds and data are those of nnspec; everything is computed in this page, which asks for nothing.`,
  failed: (why: string) => `That cannot be trained: ${why}`,
  layer: (name: string, gradient: string) => `layer ${name}, gradient ${gradient}`,
  unitStates: { off: "off", saturated: "saturated", "": "" },
  unitHelp: {
    off: "its slope is 0 on every row: no gradient passes",
    saturated: "its slope is next to 0 on every row: next to no gradient passes",
    "": "",
  },
  unitsFine: "No unit is off or saturated for every row.",
  unitsOf: (layer: string, units: string[]) => `Units of layer ${layer}, for every row: ${units.join("; ")}.`,
  unitSince: (unit: number, state: string, since: number) =>
    `${unit} ${state}${since === 0 ? " from the start" : Number.isNaN(since) ? "" : ` since update ${since}`}`,
  histogram: (low: string, high: string) => `values of its units on the data, ${low} to ${high}`,
  bias: "bias",
};
