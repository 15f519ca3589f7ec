// @ts-check
/**
 * What becomes of rows outside what training saw, as forms offer it.
 *
 * @typedef {import("../api.js").Recipe} Recipe
 */
import { element } from "../dom.js";

/** @type {Record<string, string>} */
const CHOICES = {
  warn: "are named",
  clip: "are moved into its range",
  reject: "are refused",
  formula: "are answered by the formula, if one is found",
};
const LIKE_OTHERS = "are answered like others";
/** Another recipe than the one that there is, where nothing is chosen. */
const NONE = "none";

/**
 * In the form of a new recipe.
 * @param {HTMLSelectElement} field
 */
export const offerOutside = (field) => field.replaceChildren(choice("", LIKE_OTHERS), ...choices());

/**
 * In the form that trains again: what the recipe says stays, unless something else is chosen.
 * @param {HTMLSelectElement} field
 * @param {Recipe} recipe
 */
export function offerOtherOutside(field, { outside }) {
  const chosen = field.value;
  const own = `${outside ? CHOICES[outside] : LIKE_OTHERS}, as its recipe says`;
  field.replaceChildren(choice("", own), choice(NONE, LIKE_OTHERS), ...choices());
  field.value = chosen;
}

/**
 * As a request for a training has it: undefined for what the recipe says, null for nothing.
 * @param {HTMLSelectElement} field
 */
export const otherOutside = ({ value }) => (value === NONE ? null : value || undefined);

const choices = () => Object.entries(CHOICES).map(([value, words]) => choice(value, words));

/**
 * @param {string} value
 * @param {string} words
 */
const choice = (value, words) => element("option", { value }, words);
