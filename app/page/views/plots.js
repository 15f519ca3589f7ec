// @ts-check
/**
 * The pictures of a version: how it learned, and what it still gets wrong.
 *
 * @typedef {import("../api.js").Card} Card
 * @typedef {import("../api.js").Described} Described
 * @typedef {import("../api.js").LabelScore} LabelScore
 * @typedef {import("../api.js").NumberScore} NumberScore
 */
import { element, find } from "../dom.js";
import { areLabels, counted, percent, rSquared, short } from "../format.js";

/** @typedef {{ kind: string, title: string, lesson: string, alt: string }} Plot */

/**
 * @param {HTMLElement} root
 * @param {Described} described
 */
export function showPlots(root, { name, champion, card, links }) {
  const kept = `${name}, version ${champion}`;
  const { overall, rows } = card.test;
  const plots = [
    learningCurve(kept, card),
    ...(areLabels(overall) ? plotsOfLabels(kept, overall, rows) : plotsOfNumbers(kept, overall, rows)),
    ...(card.search ? [trials(kept, card.search)] : []),
  ];
  const each = find(root, "#plots-each");
  each.classList.toggle("two-by-two", areLabels(overall));
  each.replaceChildren(...plots.filter(({ kind }) => links[kind]).map((plot) => picture(links[plot.kind], plot)));
}

/**
 * @param {string} kept
 * @param {Card} card
 * @returns {Plot}
 */
const learningCurve = (kept, { fitted }) => ({
  kind: "learning-curve",
  title: "Learning curve",
  lesson: "Loss after each epoch. It should fall, then level off.",
  alt:
    `Learning curve of ${kept}: the training loss after ${counted(fitted.epochs, "epoch")} ` +
    `is ${short(fitted.final_loss)}.`,
});

/**
 * @param {string} kept
 * @param {NumberScore} overall
 * @param {number} rows
 * @returns {Plot[]}
 */
const plotsOfNumbers = (kept, overall, rows) => [
  {
    kind: "predicted-vs-actual",
    title: "Predicted and actual",
    lesson: "A point on the line is exact.",
    alt: `Predicted against actual values of ${kept} for test rows; R² over ${rows} rows is ${rSquared(overall.r2)}.`,
  },
  {
    kind: "residuals",
    title: "What is left",
    lesson: "Points around zero without a shape mean that nothing was missed.",
    alt:
      `Residuals of ${kept} for test rows: RMSE ${short(overall.rmse)}, ` +
      `largest error ${short(overall.max_error)}.`,
  },
];

/**
 * @param {string} kept
 * @param {LabelScore} overall
 * @param {number} rows
 * @returns {Plot[]}
 */
const plotsOfLabels = (kept, { accuracy, roc_auc: auc, log_loss: loss }, rows) => [
  {
    kind: "confusion",
    title: "What was taken for what",
    lesson: "On the diagonal it was right; elsewhere, see which labels it mixes up.",
    alt: `Confusion matrix of ${kept}: ${percent(accuracy)} of ${rows} test rows have the right label.`,
  },
  {
    kind: "roc",
    title: "Finding against false alarms",
    lesson: "The further up and to the left, the better it tells labels apart.",
    alt: `ROC curve of ${kept} for test rows${auc === null ? "" : `; the area under it is ${short(auc)}`}.`,
  },
  {
    kind: "calibration",
    title: "Are the probabilities true?",
    lesson: "On the line, 80\u00a0% probable comes true in 80\u00a0% of the rows.",
    alt: `Calibration of ${kept}: how often labels came true, by their probability; log loss ${short(loss)}.`,
  },
];

/**
 * @param {string} kept
 * @param {import("../api.js").Searched} search
 * @returns {Plot}
 */
const trials = (kept, { trials: all, best, metric, importance = {} }) => ({
  kind: "search",
  title: "The search",
  // Few trials do not say how much a field matters, and the picture leaves it out.
  lesson: Object.keys(importance).length
    ? "Each trial, how much each field matters, and which values did well."
    : "Each trial, and which values did well.",
  alt: `The ${all.length} trials of the search behind ${kept}: trial ${best} has the best ${metric}.`,
});

/**
 * @param {string} source
 * @param {Plot} plot
 */
function picture(source, { title, lesson, alt }) {
  const image = element("img", { src: source, alt, width: 504, height: 302 });
  image.addEventListener("error", () =>
    image.replaceWith(element("p", { class: "hint" }, "This picture could not be drawn.")),
  );
  return element(
    "figure",
    {},
    element("a", { href: source }, image),
    element("figcaption", {}, element("strong", {}, title), " ", lesson),
  );
}
