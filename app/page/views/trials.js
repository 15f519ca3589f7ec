// @ts-check
/**
 * The trials of the search that chose a version's recipe, the best first; each can be trained by itself.
 *
 * @typedef {import("../api.js").Described} Described
 * @typedef {import("../api.js").Searched} Searched
 * @typedef {import("../api.js").Trial} Trial
 */
import { Refusal } from "../api.js";
import { button, find, table } from "../dom.js";
import { counted, short } from "../format.js";
import { attempt } from "../problem.js";

const MOST = 10;
const LOWER_IS_BETTER = ["rmse", "mae", "log_loss"];

/**
 * @param {HTMLElement} root
 * @param {Described} described
 * @param {import("../main.js").Page} page
 */
export function showTrials(root, { card: { search, lineage } }, page) {
  const section = find(root, "#trials-card");
  section.hidden = !search;
  if (!search) return;
  const sign = LOWER_IS_BETTER.includes(search.metric) ? 1 : -1;
  const scored = search.trials.filter(({ value }) => value !== null);
  scored.sort((one, other) => sign * (Number(one.value) - Number(other.value)));
  find(root, "#trials-words").textContent =
    `The best ${Math.min(MOST, scored.length)} of ${counted(search.trials.length, "trial")}, by ${search.metric} on ` +
    `${search.folds ? `${search.folds} folds` : "validation rows"}. No trial has seen the test rows, and the best of ` +
    "many flatters: trust the test rows.";
  /** @param {Trial} trial */
  const train = (trial) => trainAlone(root, lineage.job, trial, page);
  const rows = scored.slice(0, MOST).map((trial) => ({
    mark: trial.number === search.best ? "strong" : null,
    cells: [
      String(trial.number),
      short(Number(trial.value)),
      chosen(trial),
      button("Train", () => train(trial), { "aria-label": `Train the recipe of trial ${trial.number}` }),
    ],
  }));
  find(root, "#trials").replaceChildren(table("Trials", ["trial", search.metric, "chosen", ""], rows));
}

/** @param {Trial} trial */
const chosen = ({ point }) =>
  Object.entries(point)
    .map(([field, value]) => `${end(field)} ${typeof value === "number" ? short(value) : said(value)}`)
    .join(", ");

/**
 * The end of a path that says enough: "learning_rate", and of "scaling.method" the first part.
 * @param {string} field
 */
const end = (field) =>
  field
    .replace(/\.(method|name)$/, "")
    .split(".")
    .pop();

/** @param {unknown} value */
const said = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/**
 * The job of the search knows the whole recipe of each trial. The new version does not become the champion.
 * @param {HTMLElement} root
 * @param {string | null} job
 * @param {Trial} trial
 * @param {import("../main.js").Page} page
 */
async function trainAlone(root, job, trial, page) {
  const problem = find(root, "#trials-problem");
  await attempt(problem, async () => {
    if (!job) throw new Refusal("unknown_job", "this search ran outside the server, which does not know its recipes");
    const { trials } = await page.server.ask(`/train/${job}/trials`);
    const spec = trials.find((/** @type {Trial} */ { number }) => number === trial.number)?.recipe;
    if (!spec) throw new Refusal("unknown_job", "the server no longer knows the recipe of this trial");
    await page.training.submit({ spec, promote: false }, problem, find(root, "#trials"));
  });
}
