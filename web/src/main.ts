/** The page, and its trainer for scripts. */
import { train } from "./api";
import { App } from "./app";
import type { Entries } from "./entries";
import { pairedDifference } from "./statistics";
import { Workers } from "./trainer";

const data = document.getElementById("nnspec-data")?.textContent ?? "";
const entries = JSON.parse(data) as Entries;
const workers = new Workers(entries);
window.nnspec = {
  version: entries.version,
  train: (order) => train(workers, order),
  difference: pairedDifference,
};
const page = document.getElementById("page");
if (page) new App(page, workers);
