// @ts-check
/**
 * Test rows with what the network says, what is right, and the gap between them.
 *
 * @typedef {import("../api.js").Card} Card
 * @typedef {import("../api.js").Gap} Gap
 */
import { cell, element, find, table } from "../dom.js";
import { areLabels, decimalsFor, decimalsOf, minus } from "../format.js";

const MOST_COLUMNS = 6;

/**
 * @param {HTMLElement} root
 * @param {Card} card
 */
export function showGaps(root, card) {
  const { inputs, outputs, task, gaps } = card;
  const isOfLabels = task === "classification";
  const heads = outputs.flatMap(({ name }) =>
    ["predicted", "label", "gap"].map((kind) => (outputs.length > 1 ? `${name} ${kind}` : kind)),
  );
  // Of many columns some are out of sight: what the table is for comes first then.
  const isWide = inputs.length + heads.length > MOST_COLUMNS;
  /**
   * @template T
   * @param {T[]} ofInputs
   * @param {T[]} ofOutputs
   */
  const inOrder = (ofInputs, ofOutputs) => (isWide ? [...ofOutputs, ...ofInputs] : [...ofInputs, ...ofOutputs]);
  const decimals = outputs.map((_, place) => decimalsOfOutput(card, place));
  const rows = gaps.map((gap) => ({
    mark: isOfLabels && gap.predicted[0] !== gap.label[0] ? "wrong" : null,
    cells: inOrder(
      gap.inputs.map(cell),
      outputs.flatMap((_, place) => gapCells(gap, place, decimals[place], isOfLabels)),
    ),
  }));
  const difference = isOfLabels ? "the probability that the right label lacked" : "the difference";
  find(root, "#gaps-words").textContent = `Side by side: what the network says, what is right, and ${difference}.`;
  find(root, "#plots").classList.toggle("in-a-row", isOfLabels || isWide);
  const names = inputs.map(({ name }) => name);
  find(root, "#gaps").replaceChildren(table("Prediction, label and gap", inOrder(names, heads), rows));
}

/**
 * @param {Card} card
 * @param {number} place
 */
function decimalsOfOutput({ task, outputs, test, gaps }, place) {
  const score = test.outputs[outputs[place].name];
  if (task === "classification" || areLabels(score)) return 3;
  const labels = gaps.map((gap) => decimalsOf(Number(gap.label[place])));
  return Math.max(decimalsFor(score.rmse), Math.min(4, Math.max(0, ...labels)));
}

/**
 * A label that is a number is still a label, and shown as it is.
 * @param {Gap} gap
 * @param {number} place
 * @param {number} decimals
 * @param {boolean} isOfLabels
 */
function gapCells({ predicted, label, gap }, place, decimals, isOfLabels) {
  const said = [predicted[place], label[place]];
  return [
    ...(isOfLabels ? said.map(cell) : said.map((value) => fixed(Number(value), decimals))),
    fixed(gap[place], decimals),
  ];
}

/**
 * @param {number} value
 * @param {number} decimals
 */
const fixed = (value, decimals) => element("span", { title: String(value) }, minus(value.toFixed(decimals)));
