// @ts-check
/**
 * Errors, told in words where a reader looks, and tied to the fields that they name.
 *
 * @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control
 */
import { Refusal } from "./api.js";
import { element, findAll } from "./dom.js";
import { sentence } from "./format.js";

/**
 * Run what a reader has asked for; an error is told at `place`.
 * @template T
 * @param {HTMLElement} place
 * @param {() => Promise<T>} action
 * @returns {Promise<T | undefined>}
 */
export async function attempt(place, action) {
  tell(place, null);
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(error);
    tell(place, error);
    return undefined;
  }
}

/**
 * @param {HTMLElement} place
 * @param {unknown} error   null clears the place
 */
export function tell(place, error) {
  place.hidden = error === null;
  place.replaceChildren();
  if (error === null) return;
  const [words, code] =
    error instanceof Refusal
      ? [sentence(error.message), error.code]
      : ["Something went wrong in this page.", error instanceof Error ? error.name : "unknown"];
  place.append(words, " ", element("small", { class: "code" }, code));
}

/**
 * Mark the fields of `form` that the message at `problem` names, such as `data.outputs.y`, and lead to the first.
 * @param {HTMLFormElement} form
 * @param {HTMLElement} problem
 * @param {[Control, string][]} fields   each with its place in a recipe
 */
export function mark(form, problem, fields) {
  unmark(form, problem);
  const named = fields.filter(([, place]) => names(problem.textContent ?? "", place)).map(([field]) => field);
  markAsInvalid(named, problem);
  const [first] = findAll(form, "[aria-invalid]");
  first?.closest("details")?.setAttribute("open", "");
  first?.focus();
}

/**
 * The message describes each field: whoever comes to one hears what is wrong with it.
 * @param {Control[]} fields
 * @param {HTMLElement} problem
 */
export function markAsInvalid(fields, problem) {
  for (const field of fields) {
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", [problem.id, ...descriptions(field)].join(" "));
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement} problem
 */
export function unmark(form, problem) {
  for (const field of findAll(form, "[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    const others = descriptions(field).filter((id) => id !== problem.id);
    if (others.length) field.setAttribute("aria-describedby", others.join(" "));
    else field.removeAttribute("aria-describedby");
  }
}

/**
 * The fields of a form that say in which place of a recipe they stand.
 * @param {HTMLFormElement} form
 * @returns {[Control, string][]}
 */
export const placesIn = (form) =>
  [.../** @type {NodeListOf<Control>} */ (form.querySelectorAll("[data-place]"))].map((field) => [
    field,
    field.dataset.place ?? "",
  ]);

/** @param {Element} field */
const descriptions = (field) => (field.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean);

/**
 * @param {string} message
 * @param {string} place
 */
const names = (message, place) => new RegExp(`(^|[ .])${place.replaceAll(/[^\w\s]/g, "\\$&")}[.:]`, "i").test(message);
