// @ts-check
/**
 * How good a version is, beside simpler ways to the same answers.
 *
 * @typedef {import("../api.js").Card} Card
 * @typedef {import("../api.js").LabelScore} LabelScore
 * @typedef {import("../api.js").NumberScore} NumberScore
 * @typedef {import("../api.js").Score} Score
 */
import { element, find, table, variable } from "../dom.js";
import { areLabels, counted, figure, percent, rSquared, short } from "../format.js";

/** @typedef {{ caption: string, columns: Record<string, (score: any) => string>, words: string }} ScoreTable */

/** Labels whose scores or probabilities are shown one by one. */
export const MOST_LABELS = 12;

/** @type {ScoreTable} */
const NUMBER_SCORES = {
  caption: "Errors in raw units",
  columns: {
    RMSE: (/** @type {NumberScore} */ { rmse }) => short(rmse, 3),
    MAE: (/** @type {NumberScore} */ { mae }) => short(mae, 3),
    "R²": (/** @type {NumberScore} */ { r2 }) => rSquared(r2),
    largest: (/** @type {NumberScore} */ { max_error: largest }) => short(largest, 3),
  },
  words: `RMSE is the typical size of an error and MAE the average one, both in the units of the output. R² is the
    share of the variation that is explained; 1 would be all of it.`,
};

/** @type {ScoreTable} */
const LABEL_SCORES = {
  caption: "How many labels were right",
  columns: {
    accuracy: (/** @type {LabelScore} */ { accuracy }) => percent(accuracy),
    balanced: (/** @type {LabelScore} */ { balanced_accuracy: balanced }) => percent(balanced),
    F1: (/** @type {LabelScore} */ { f1 }) => short(f1, 3),
    AUC: (/** @type {LabelScore} */ { roc_auc: auc }) => (auc === null ? "–" : short(auc, 3)),
    "log loss": (/** @type {LabelScore} */ { log_loss: loss }) => short(loss, 3),
  },
  words: `Accuracy is the share of rows that were given the right label; balanced, each label counts the same, however
    rare. AUC is 1 where right labels are always more probable than wrong ones, and 0.5 for guessing. Log loss also
    counts how sure it was: 0 is sure and right.`,
};

/** @type {Record<string, string>} */
const BASELINES = {
  mean: "mean of labels",
  majority: "most frequent label",
  linear: "straight line",
  trees: "gradient boosting",
};

/**
 * @param {HTMLElement} root
 * @param {Card} card
 */
export function showScores(root, card) {
  const { caption, columns, words } = card.task === "classification" ? LABEL_SCORES : NUMBER_SCORES;
  const rows = [...measuredRows(card, columns), ...baselineRows(card, Object.keys(columns).length)];
  find(root, "#scores").replaceChildren(table(caption, ["rows", ...Object.keys(columns)], rows));
  find(root, "#score-words").textContent = words;
  const sentences = [authorSentence(card), foldsSentence(card), refitSentence(card)];
  find(root, "#author").textContent = sentences.filter(Boolean).join(" ");
  showLabelScores(root, card);
}

/**
 * @param {Card} card
 * @param {ScoreTable["columns"]} columns
 */
function measuredRows({ test, validation, train, out_of_fold: outOfFold }, columns) {
  /**
   * @param {(string | Node)[]} name
   * @param {Score} score
   */
  const cells = (name, score) => [element("span", {}, ...name), ...Object.values(columns).map((read) => read(score))];
  /**
   * @param {string} name
   * @param {import("../api.js").Measured | null | undefined} measured
   */
  const overall = (name, measured) =>
    measured ? [cells([name, " ", element("small", {}, counted(measured.rows, "row"))], measured.overall)] : [];
  const outputs = Object.entries(test.outputs);
  return [
    ...overall("test", test).map((row) => ({ cells: row, mark: "strong" })),
    ...(outputs.length > 1 ? outputs : []).map(([name, score]) => ({
      cells: cells(["test, ", variable(name)], score),
    })),
    ...overall("validation", validation).map((row) => ({ cells: row })),
    ...overall("training", train).map((row) => ({ cells: row })),
    ...overall("out of fold", outOfFold).map((row) => ({ cells: row })),
  ];
}

/**
 * Best first. What they are measured by is the first column of the table.
 * @param {Card} card
 * @param {number} width   columns of figures
 */
function baselineRows({ baselines: { metric, figures } }, width) {
  const others = Object.entries(figures).filter(([name]) => name !== "network");
  others.sort(([, one], [, other]) => (metric === "accuracy" ? other - one : one - other));
  return others.map(([name, value]) => {
    const called = name === "linear" && metric === "accuracy" ? "logistic regression" : (BASELINES[name] ?? name);
    return { cells: [called, figure(metric, value), ...Array(width - 1).fill("")], mark: "faint" };
  });
}

/**
 * Of each label: how often it was right to say it, and how many of its rows it was said of.
 * @param {HTMLElement} root
 * @param {Card} card
 */
function showLabelScores(root, { outputs: [{ values }], test: { overall } }) {
  const rows = areLabels(overall) ? labelRows(values ?? [], overall) : [];
  find(root, "#label-scores").hidden = rows.length === 0;
  find(root, "#label-scores").replaceChildren(table("Test rows by label", ["label", "precision", "recall"], rows));
}

/**
 * Where there are very many labels, the card keeps no scores of each.
 * @param {import("../api.js").Value[]} labels
 * @param {LabelScore} score
 */
const labelRows = (labels, { precision, recall }) =>
  labels.slice(0, Math.min(precision.length, MOST_LABELS)).map((label, place) => ({
    cells: [String(label), percent(precision[place]), percent(recall[place])],
  }));

/** @param {Card} card */
function foldsSentence({ cross_validation: crossed }) {
  if (!crossed) return "";
  const { metric, mean, sd, folds, epochs } = crossed;
  const found = `: ${metric.replaceAll("_", " ")} ${short(mean[metric] ?? 0, 3)} ± ${short(sd[metric] ?? 0, 2)}`;
  const words = `Cross-validated over ${folds.length} folds${metric in mean ? found : ""}`;
  return `${words}; it is trained for the ${epochs} epochs that this recommends.`;
}

/** @param {Card} card */
function refitSentence({ fitted: { rows, refit }, out_of_fold: outOfFold }) {
  if (!refit) return "";
  const words = `Test and training rows are answered by a network fitted on ${rows} rows; the one that is served was then
    fitted again on all ${refit.rows}.`;
  return outOfFold ? `${words} Out of fold, each row is answered by the one member that left it out.` : words;
}

/** @type {Record<string, string>} */
const METRICS = { rmse: "RMSE", mae: "MAE", rmse_over_root_n: "RMSE/√n", log_loss: "log loss" };

/** @param {Card} card */
function authorSentence({ author, author_metrics: ours }) {
  if (!author) return "";
  const { metric, figure: reported } = author;
  const words = `The pattern's author reports ${METRICS[metric] ?? metric} ${short(reported)}`;
  return `${words}; counted the same way, this version has ${short(ours[metric])}.`;
}
