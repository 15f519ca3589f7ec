// @ts-check
/**
 * What the same rows say of two versions, and of the models beside them.
 *
 * @typedef {"rmse" | "mae" | "log_loss" | "accuracy"} Metric
 * @typedef {{ difference: number, error: number, low: number, high: number }} Difference
 * @typedef {object} Comparison
 * @property {string} first
 * @property {string} second
 * @property {number} rows
 * @property {Record<string, Partial<Record<Metric, number>>>} figures
 * @property {{ first: string, second: string, by: Partial<Record<Metric, Difference>> }[]} differences
 * @property {Record<string, number>} spread
 * @property {string} verdict
 * @property {string} note
 */
import { element, table } from "../dom.js";
import { short } from "../format.js";

/** @type {Record<Metric, string>} */
const METRICS = { rmse: "RMSE", mae: "MAE", log_loss: "log loss", accuracy: "accuracy" };

/** @type {Record<string, string>} */
const CALLED = { linear: "linear model", trees: "gradient boosting" };

/**
 * @param {HTMLElement} place
 * @param {Comparison} comparison
 */
export function showComparison(place, comparison) {
  const { figures, differences, first, second, spread, verdict, note } = comparison;
  const metrics = /** @type {Metric[]} */ (Object.keys(figures[first] ?? {}));
  const hasSpread = Object.keys(spread).length > 0;
  const heads = ["on the same rows", ...metrics.map((metric) => METRICS[metric]), ...(hasSpread ? ["members"] : [])];
  const rows = Object.entries(figures).map(([name, values]) => ({
    mark: name === first || name === second ? "strong" : "faint",
    cells: [
      CALLED[name] ?? name,
      ...metrics.map((metric) => short(values[metric] ?? Number.NaN, 4)),
      ...(hasSpread ? [name in spread ? short(spread[name] ?? 0, 3) : "–"] : []),
    ],
  }));
  place.replaceChildren(
    element("p", {}, verdict),
    table("Figures on the same rows", heads, rows),
    table("Differences on the same rows", ["difference of", "metric", "is", "95 %"], differences.flatMap(sides)),
    ...(hasSpread ? [element("p", { class: "hint" }, "Members: how far those of a network differ on a row.")] : []),
    ...(note ? [element("p", { class: "hint" }, note)] : []),
  );
}

/** @param {Comparison["differences"][number]} between */
function sides({ first, second, by }) {
  return Object.entries(by).map(([metric, { difference, error, low, high }]) => ({
    cells: [
      `${CALLED[first] ?? first} less ${CALLED[second] ?? second}`,
      METRICS[/** @type {Metric} */ (metric)],
      `${short(difference, 3)} ± ${short(error, 2)}`,
      `${short(low, 3)} to ${short(high, 3)}`,
    ],
  }));
}
