// @ts-check
/**
 * The form that asks a pattern, its answer, and the same question for a terminal.
 *
 * @typedef {import("../api.js").Card} Card
 * @typedef {import("../api.js").Described} Described
 * @typedef {import("../api.js").Prediction} Prediction
 * @typedef {import("../api.js").Score} Score
 * @typedef {import("../api.js").Value} Value
 * @typedef {Record<string, Value>} Row
 */
import { svg } from "../curve.js";
import { element, exact, find, variable } from "../dom.js";
import { areLabels, percent, range, short } from "../format.js";
import { attempt, tell } from "../problem.js";
import { Field, typedFor } from "./field.js";
import { MOST_LABELS } from "./scores.js";

const COPIED_MS = 2000;
/** @type {Record<string, string>} */
const OFTEN = { 0.8: "8 times in 10", 0.9: "9 times in 10", 0.95: "19 times in 20" };

export class PredictForm {
  #root;
  #server;
  #problem;
  #answer;
  #curl;
  #sure;
  /** @type {Described | null} */
  #described = null;
  /** @type {Field[]} */
  #fields = [];
  /** Questions asked: an answer to an earlier one than the last comes too late. */
  #asked = 0;

  /**
   * @param {HTMLElement} root
   * @param {import("../api.js").Server} server
   */
  constructor(root, server) {
    this.#root = root;
    this.#server = server;
    this.#problem = find(root, "#predict-problem");
    this.#answer = find(root, "#answer");
    this.#curl = find(root, "#curl");
    this.#sure = find(root, "#sure", HTMLSelectElement);
    this.#sure.addEventListener("change", () => this.#changed());
    find(root, "#predict", HTMLFormElement).addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      return this.#predict();
    });
    find(root, "#curl-copy").addEventListener("click", () => this.#copy());
  }

  /**
   * Draw a field for each input; what was typed stays.
   * @param {Described} described
   * @param {Row} sample
   */
  show(described, sample) {
    const typed = new Map(this.#fields.map((field) => [field.column.name, field.typed]));
    this.#described = described;
    this.#fields = described.card.inputs.map((column, place) => {
      const before = typed.get(column.name) ?? typedFor(column, sample[column.name] ?? null);
      return new Field(column, `input-${place}`, columnName(column.name, described), before, () => this.#changed());
    });
    find(this.#root, "#predict-fields").replaceChildren(...this.#fields.map((field) => field.root));
    this.#offerLevels(described.card);
    tell(this.#problem, null);
    this.#changed();
  }

  /**
   * What the calibration rows are enough for; versions without any offer nothing.
   * @param {Card} card
   */
  #offerLevels({ calibration, task }) {
    const chosen = this.#sure.value;
    const levels = Object.keys(calibration?.sizes ?? Object.values(calibration?.widths ?? {})[0] ?? {});
    const kind = task === "regression" ? "an interval" : "a set of labels";
    this.#sure.replaceChildren(
      element("option", { value: "" }, "the answer alone"),
      ...levels.map((level) => element("option", { value: level }, `${kind} that is right ${OFTEN[level] ?? level}`)),
    );
    this.#sure.value = levels.includes(chosen) ? chosen : "";
    find(this.#root, "#sure-field").hidden = levels.length === 0;
  }

  #changed() {
    // An answer to other values, or of a version that no longer answers, is shown as what it is: past.
    this.#answer.classList.add("past");
    this.#showCurl();
  }

  /** @returns {Row} */
  #row() {
    return Object.fromEntries(this.#fields.map((field) => [field.column.name, field.value]));
  }

  async #predict() {
    const described = this.#described;
    if (described === null) return;
    const number = ++this.#asked;
    const row = this.#row();
    await attempt(this.#problem, async () => {
      const began = performance.now();
      const answer = await this.#server.ask(pathOf(described, this.#sure.value), {
        method: "POST",
        body: { inputs: [row] },
      });
      if (number === this.#asked) this.#showAnswer(answer, row, described, performance.now() - began);
    });
    this.#showCurl();
  }

  /**
   * @param {Prediction} answer
   * @param {Row} row
   * @param {Described} described
   * @param {number} milliseconds
   */
  #showAnswer(answer, row, described, milliseconds) {
    const outside = answer.outside?.[0];
    const filled = answer.filled?.[0]?.columns ?? [];
    // The test error says nothing about a region that the network has not seen, or about another version's answer.
    const isMeasured = !outside && !filled.length && answer.version === described.champion;
    this.#answer.replaceChildren(
      ...Object.entries(answer.outputs[0]).map(([name, value]) => output(name, value, described, isMeasured)),
      ...Object.entries(answer.intervals?.[0] ?? {}).map(([name, ends]) => between(name, ends, answer, described)),
      ...Object.values(answer.sets?.[0] ?? {}).map(oneOf),
      ...Object.values(answer.probabilities?.[0] ?? {}).map(likely),
      ...(outside ? [warning(outside, row, described)] : []),
      ...(filled.length ? [standIn(filled, described.card)] : []),
      element("p", { class: "hint" }, `Version ${answer.version} answered in ${short(milliseconds, 2)} ms.`),
    );
    this.#answer.classList.remove("past");
  }

  #showCurl() {
    if (this.#described === null) return;
    const lines = [
      `curl ${quoted(`${location.origin}${pathOf(this.#described, this.#sure.value)}`)}`,
      ...(this.#server.needsKeyToPredict ? ['-H "authorization: Bearer $PATTERNS_PREDICT_KEY"'] : []),
      "-H 'content-type: application/json'",
      `-d ${quoted(JSON.stringify({ inputs: [this.#row()] }))}`,
    ];
    this.#curl.textContent = lines.join(" \\\n  ");
  }

  async #copy() {
    const button = find(this.#root, "#curl-copy");
    // Browsers have a clipboard for secure pages only; the old way works everywhere.
    // The selection shows what is copied.
    getSelection()?.selectAllChildren(this.#curl);
    const isCopied = await navigator.clipboard?.writeText(this.#curl.textContent ?? "").then(
      () => true,
      () => false,
    );
    button.textContent = isCopied || document.execCommand("copy") ? "Copied" : "Selected";
    setTimeout(() => (button.textContent = "Copy"), COPIED_MS);
  }
}

/**
 * @param {Described} described
 * @param {string} level   how often an interval or a set is to hold; empty for neither
 */
const pathOf = ({ name, classes }, level) =>
  `/predict/${encodeURIComponent(name)}?outside=true${classes ? "&probabilities=true" : ""}` +
  (level && `&${classes ? "confidence" : "interval"}=${level}`);

/**
 * For a shell.
 * @param {string} text
 */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * Names in a formula are variables; a table's are words.
 * @param {string} name
 * @param {Described} described
 */
const columnName = (name, { formulas }) => (formulas ? variable(name) : name);

/**
 * @param {string} name
 * @param {Value} value
 * @param {Described} described
 * @param {boolean} isMeasured
 */
function output(name, value, described, isMeasured) {
  const { card } = described;
  const score = isMeasured ? card.test.outputs[name] : undefined;
  const said = typeof value === "number" && card.task === "regression" ? exact(value) : String(value);
  return element(
    "p",
    { class: "output" },
    columnName(name, described),
    " = ",
    element("strong", {}, said),
    " ",
    ...(score ? [element("span", { class: "error-size" }, usually(score))] : []),
  );
}

/**
 * The interval of an output in words, and as a band in the range that training saw.
 * @param {string} name
 * @param {[number, number]} ends
 * @param {Prediction} answer
 * @param {Described} described
 */
function between(name, [lower, upper], answer, described) {
  const several = described.outputs.length > 1 ? [columnName(name, described), " "] : [];
  const words = `between ${short(lower, 6)} and ${short(upper, 6)}`;
  const column = described.card.outputs.find((one) => one.name === name);
  const bounds = [Number(column?.minimum ?? lower), Number(column?.maximum ?? upper), lower, upper];
  return element(
    "p",
    { class: "between" },
    ...several,
    words,
    band(Math.min(...bounds), Math.max(...bounds), lower, upper, Number(answer.outputs[0][name])),
  );
}

/**
 * @param {number} least
 * @param {number} most
 * @param {number} lower
 * @param {number} upper
 * @param {number} value
 */
function band(least, most, lower, upper, value) {
  const size = most - least || 1;
  /** @param {number} at */
  const place = (at) => (100 * (at - least)) / size;
  return svg(
    "svg",
    { class: "band", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "seen", x: 0, y: 3, width: 100, height: 2 }),
    svg("rect", { class: "held", x: place(lower), y: 1, width: Math.max(0.5, place(upper) - place(lower)), height: 6 }),
    svg("rect", { class: "said", x: place(value) - 0.4, y: 0, width: 0.8, height: 8 }),
  );
}

/** @param {Value[]} labels */
const oneOf = (labels) =>
  element("p", { class: "between" }, labels.length > 1 ? `one of ${labels.join(", ")}` : `${labels[0]} alone`);

/** @param {Score} score */
const usually = (score) =>
  areLabels(score)
    ? `right on ${percent(score.accuracy)} of the test rows`
    : `on test rows typically off by ${short(score.rmse, 2)}`;

/**
 * The most probable labels first, each with a bar.
 * @param {Record<string, number>} byLabel
 */
function likely(byLabel) {
  const ordered = Object.entries(byLabel).sort(([, one], [, other]) => other - one);
  const rows = ordered
    .slice(0, MOST_LABELS)
    .flatMap(([label, share]) => [
      element("dt", {}, label),
      element("dd", {}, element("meter", { min: 0, max: 1, value: share, "aria-label": label }), " ", percent(share)),
    ]);
  return element("dl", { class: "likely", "aria-label": "Probabilities" }, ...rows);
}

/** @type {Record<string, string>} */
const TREATED = {
  warn: "Beyond its training region a network seldom follows the pattern: check this answer before you rely on it.",
  clip: "Its numbers were moved into the range of training, as the recipe says, and the network has answered that.",
  formula: "The formula has answered, as the recipe says.",
};
const NO_GUARANTEE = " Out here, an interval or a set holds the right one less often than asked.";
const NO_FORMULA = " By the recipe a formula would answer, and training has found none.";

/**
 * @param {import("../api.js").Outside} outside   without columns where the row is inside each column's range, but where
 *   no training row was
 * @param {Row} row
 * @param {Described} described
 */
function warning(outside, row, { card, recipe }) {
  const words = card.inputs
    .filter(({ name }) => outside.columns.includes(name))
    .map((column) => beyond(column, row[column.name]))
    .join("; ");
  return element(
    "p",
    { class: "warning" },
    element("strong", {}, "Beyond what it has seen. "),
    `${words || "Each value is in its range, but no training row was like all of them together"}. `,
    TREATED[outside.answered ?? "warn"],
    ...(recipe.outside === "formula" && card.outside === "warn" ? [NO_FORMULA] : []),
    ...(outside.guaranteed === false ? [NO_GUARANTEE] : []),
    howFar(outside),
  );
}

/**
 * Nothing of versions that do not know where their training rows were.
 * @param {import("../api.js").Outside} outside
 */
const howFar = ({ score, as_far }) =>
  score === undefined || as_far === undefined
    ? ""
    : ` Its distance from the training rows scores ${short(score, 2)} of 1, and 0.5 is the limit; ` +
      `${percent(as_far)} of them were as far from all others.`;

/**
 * What stands in for missing values, and what such answers were worth on the test rows.
 * @param {string[]} filled
 * @param {Card} card
 */
function standIn(filled, card) {
  const words = card.inputs.filter(({ name }) => filled.includes(name)).map((column) => worth(column, card));
  const missing = element("strong", {}, "Missing, and never so in training. ");
  return element("p", { class: "warning" }, missing, `${words.join("; ")}.`);
}

/**
 * @param {import("../api.js").Column} column
 * @param {Card} card
 */
function worth({ name, fill, if_missing }, card) {
  const value = typeof fill === "number" ? short(fill, 7) : String(fill);
  const instead = fill === "" ? `${name} counts as empty` : `${value} stands in for ${name}`;
  if (if_missing === undefined) return instead;
  const isOff = card.task === "regression";
  const tested = isOff ? `typically off by ${short(if_missing, 2)}` : `right on ${percent(if_missing)}`;
  return `${instead}; without it, answers to the test rows were ${tested}`;
}

/**
 * @param {import("../api.js").Column} column
 * @param {Value} value
 */
function beyond(column, value) {
  const { name, kind } = column;
  if (kind === "category") return `${name} = ${value} was not seen in training, or too seldom`;
  if (kind === "text") return `${name} has no word that it knows`;
  return `${name} = ${typeof value === "number" ? short(value, 7) : value} lies outside ${range(column)}`;
}
