// @ts-check
/** The loss curve of a training under way. */
import { find } from "./dom.js";
import { counted, short } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 160;
const MARGIN = 4;
const MOST_POINTS = 400;

/**
 * `loss` and `valLoss` are by epoch; `total` is how many epochs there will be.
 * @param {HTMLElement} figure
 * @param {{ loss: number[], valLoss: number[], total: number }} heard
 */
export function drawCurve(figure, { loss, valLoss, total }) {
  const values = [...loss, ...valLoss].filter(Number.isFinite);
  const hasBegun = values.length > 0;
  const [low, high] = extremes(values);
  // Losses fall over many decades, and the last ones tell most.
  const isLogarithmic = values.every((value) => value > 0);
  const lift = isLogarithmic ? Math.log10 : Number;
  const [floor, span] = hasBegun ? [lift(low), lift(high) - lift(low) || 1] : [0, 1];
  /** @param {number} place */
  const x = (place) => (total > 1 ? (place / (total - 1)) * WIDTH : 0);
  /** @param {number} value */
  const y = (value) => HEIGHT - MARGIN - ((lift(value) - floor) / span) * (HEIGHT - 2 * MARGIN);
  const words = hasBegun
    ? `Loss from ${short(loss[0])} to ${short(loss[loss.length - 1])} over ${counted(loss.length, "epoch")}`
    : "No epoch is done yet";
  find(figure, ".live-curve").replaceChildren(
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
      svg("polyline", { class: "loss", points: points(loss, x, y) }),
      svg("polyline", { class: "val-loss", points: points(valLoss, x, y) }),
    ),
  );
  find(figure, ".live-high").textContent = hasBegun ? short(high, 3) : "";
  find(figure, ".live-low").textContent = hasBegun ? short(low, 3) : "";
  find(figure, "figcaption").textContent = [
    `loss in scaled units${isLogarithmic ? ", logarithmic" : ""}`,
    `epochs 1 to ${total}`,
    ...(valLoss.length ? ["dashed: validation"] : []),
  ].join("; ");
}

/**
 * As few as a picture can show; the last one always.
 * @param {number[]} curve
 * @param {(place: number) => number} x
 * @param {(value: number) => number} y
 */
function points(curve, x, y) {
  const step = Math.ceil(curve.length / MOST_POINTS);
  return curve
    .map((value, place) => ({ value, place }))
    .filter(({ place }) => place % step === 0 || place === curve.length - 1)
    .map(({ value, place }) => `${x(place).toFixed(1)},${y(value).toFixed(1)}`)
    .join(" ");
}

/**
 * The least and the greatest; spread over arguments, many epochs would be too many.
 * @param {number[]} values
 */
const extremes = (values) => [
  values.reduce((one, other) => Math.min(one, other), Infinity),
  values.reduce((one, other) => Math.max(one, other), -Infinity),
];

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...Node} children
 */
export function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}
