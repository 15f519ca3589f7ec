// @ts-check
/**
 * The formulas that training found in the rows, beside the network's errors.
 *
 * @typedef {import("../api.js").ClosedForm} ClosedForm
 */
import { element, find, math, variable } from "../dom.js";
import { short } from "../format.js";

/**
 * @param {HTMLElement} root
 * @param {import("../api.js").Card} card
 */
export function showFound(root, { closed_forms: forms = {} }) {
  const found = Object.entries(forms);
  find(root, "#found-formulas").hidden = found.length === 0;
  find(root, "#found").replaceChildren(...found.map(typeset));
  find(root, "#found-words").textContent = found.map(([output, form]) => sentence(output, form)).join(" ");
}

/** @param {[output: string, form: ClosedForm]} pair */
const typeset = ([output, { text }]) =>
  element("p", { class: "formula", title: `${output} = ${text}` }, variable(output), " = ", ...math(text));

/**
 * @param {string} output
 * @param {ClosedForm} form
 */
function sentence(output, { rmse, network_rmse: network, is_exact: isExact, columns = {} }) {
  const kind = isExact ? "is exact but for rounding" : "leaves nothing but noise";
  const named = Object.entries(columns).map((pair) => pair.join(" is "));
  const words = `On the test rows, that of ${output} ${kind}: RMSE ${short(rmse, 3)}, the network's ${short(network, 3)}.`;
  return named.length ? `${words} In it, ${named.join(", ")}.` : words;
}
