// @ts-check
/**
 * How a version was made: the steps from raw values to raw values, and how it was trained.
 *
 * @typedef {import("../api.js").Described} Described
 * @typedef {import("../api.js").Kind} Kind
 */
import { element, fill, find } from "../dom.js";
import { counted, short, when } from "../format.js";

const MOST_NAMES = 6;

/** @type {Partial<Record<Kind, string>>} */
const ENCODED = {
  category: "an input for each category",
  text: "words",
  date: "dates as circles",
  time: "times as a circle",
  duration: "durations as seconds",
  boolean: "booleans as ±1",
};
/** @type {Record<string, string>} */
const OUTSIDE = {
  warn: "named",
  clip: "moved into the range of training",
  reject: "refused",
  formula: "answered by the formula",
};
const PROMOTED = { always: "always", never: "only by hand", "if-better": "if it is not worse on the same rows" };
/** @type {Record<string, string>} */
const SCALINGS = { standard: "standard scaling", minmax: "min-max scaling", none: "no scaling" };

/**
 * @param {HTMLElement} root
 * @param {Described} described
 */
export function showRecipe(root, described) {
  const steps = stepsOf(described).map((step) => element("li", {}, step));
  find(root, "#pipeline").replaceChildren(...steps);
  fill(find(root, "#fitted"), fittedFacts(described));
}

/** @param {Described} described */
function stepsOf({ inputs, outputs, classes, card, recipe: { scaling, network } }) {
  const way = SCALINGS[scaling.method] ?? scaling.method;
  const isScaled = scaling.method !== "none";
  const isPlain = card.inputs.every(({ kind }) => kind === "number");
  const encoded = isPlain ? [] : [...new Set(card.inputs.map(({ kind }) => ENCODED[kind] ?? ""))].filter(Boolean);
  /** @param {string[]} columns */
  const named = (columns) => (columns.length > MOST_NAMES ? `${columns.length} columns` : columns.join(", "));
  const chosen = card.fitted.chosen ?? {};
  const { "network.dropout": dropout = network.dropout, "network.members": members = network.members } = chosen;
  const targets = chosen["scaling.targets"] ?? scaling.targets;
  return [
    `raw ${named(inputs)}`,
    isScaled ? `${way}, ${scaling.scope}` : way,
    ...encoded,
    ...network.layers.map(
      ({ units, activation }, at) => `${chosen[`network.layers.${at}.units`] ?? units} ${activation}`,
    ),
    ...(dropout ? [`dropout ${dropout}`] : []),
    ...((members ?? 1) === 1 ? [] : [`${members} members, their mean`]),
    classes ? lastOf(classes) : `${outputs.length} ${network.output_activation}`,
    ...(isScaled && scaling.outputs !== "none" && !classes ? ["scaling undone"] : []),
    ...(targets === "log" ? ["exponential, from logarithms to means"] : []),
    classes ? `${outputs[0]}, the most probable` : `raw ${named(outputs)}`,
  ];
}

/** @param {{ tolerance: number }} promotion */
const toleranceOf = ({ tolerance }) => (tolerance ? `, by more than ${short(tolerance * 100)} %` : "");

/** @param {unknown[]} classes */
const lastOf = (classes) => (classes.length === 2 ? "1 sigmoid" : `${classes.length} softmax`);

/**
 * @param {Described} described
 * @returns {[string, string | number | null][]}
 */
function fittedFacts({ card: { fitted, lineage, outside, test }, classes, recipe: { fit, split, promotion } }) {
  const rate = fitted.chosen?.["fit.optimizer.learning_rate"] ?? fit.optimizer.learning_rate;
  const device = fitted.device.replace(/^.*?([A-Z]+):\d+$/, "$1");
  const loss = `${fit.loss === "auto" ? "" : `${fit.loss}, `}at the end ${short(fitted.final_loss)}`;
  return [
    ["trained", when(lineage.trained_at)],
    ["took", `${short(fitted.seconds, 3)} s on ${device}`],
    ["epochs", fitted.stopped_early ? `${fitted.epochs}, weights of epoch ${fitted.best_epoch}` : fitted.epochs],
    ["loss", classes ? loss : `${loss} (scaled units)`],
    ["optimiser", `${fit.optimizer.name}, learning rate ${rate}`],
    ["batch size", fitted.chosen?.["fit.batch_size"] ?? fit.batch_size],
    ["seed", lineage.seed],
    ["parameters", fitted.parameters],
    ["rows", `${fitted.rows} to train, ${test.rows} to test`],
    ["fitted again", fitted.refit ? `${fitted.refit.rows} rows, ${counted(fitted.refit.epochs, "epoch")}` : null],
    ["promoted", promotion ? `${PROMOTED[promotion.when]}${toleranceOf(promotion)}` : null],
    ["rows outside", outside ? OUTSIDE[outside] : null],
    ["held out", split.validation ? `${short(split.validation * 100)} % to validate` : null],
    [
      "made with",
      Object.entries(lineage.software)
        .map((pair) => pair.join(" "))
        .join(", "),
    ],
  ];
}
