// @ts-check
/** Elements: found, made and filled. What the server says enters the page as text, never as markup. */
import { indexed, mathParts, short } from "./format.js";

/**
 * Return what `selector` finds first below `root`; throws a TypeError where there is none of this kind.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} [kind]
 * @returns {T}
 */
export function find(root, selector, kind) {
  const found = root.querySelector(selector);
  if (found instanceof (kind ?? HTMLElement)) return /** @type {T} */ (found);
  throw new TypeError(`the page has no ${kind?.name ?? "HTMLElement"} at ${selector}`);
}

/**
 * Return every element that `selector` finds below `root`.
 * @template {Element} [T=HTMLElement]
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => T} [_kind]
 * @returns {T[]}
 */
export const findAll = (root, selector, _kind) => [.../** @type {NodeListOf<T>} */ (root.querySelectorAll(selector))];

/**
 * Return a new element, made from the template of this id.
 * @param {string} id
 */
export function fromTemplate(id) {
  const copy = document.importNode(find(document, `template#${id}`, HTMLTemplateElement).content, true);
  return find(copy, "*");
}

/**
 * `element("a", {href: "#x"}, "text", child)`; attributes that are null or false are left out.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | null>} [attributes]
 * @param {...(string | Node)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/**
 * @param {string} text
 * @param {() => unknown} pressed
 * @param {Record<string, string>} [attributes]
 */
export function button(text, pressed, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", pressed);
  return made;
}

/**
 * The first cell of a row names it.
 * @param {string} caption
 * @param {string[]} heads
 * @param {{ cells: (string | Node)[], mark?: string | null }[]} rows   `mark` becomes the class of the row
 */
export function table(caption, heads, rows) {
  /** @param {{ cells: (string | Node)[], mark?: string | null }} row */
  const row = ({ cells: [name, ...others], mark }) =>
    element(
      "tr",
      { class: mark ?? null },
      element("th", { scope: "row" }, name),
      ...others.map((content) => element("td", {}, content)),
    );
  return element(
    "table",
    {},
    element("caption", { class: "unseen" }, caption),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...rows.map(row)),
  );
}

/**
 * Fill a list of facts; those without a value are left out.
 * @param {HTMLElement} list
 * @param {[name: string, value: string | number | null][]} facts
 */
export function fill(list, facts) {
  const known = facts.filter(([, value]) => value !== null && value !== "");
  list.replaceChildren(
    ...known.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, String(value)))),
  );
}

/**
 * A value of a table, as text that does not make the table wide.
 * @param {import("./api.js").Value} value
 */
export function cell(value) {
  if (value === null) return element("span", { class: "missing" }, "missing");
  if (typeof value === "number") return short(value, 7);
  const text = String(value);
  return element("span", { title: text }, text.length > 40 ? `${text.slice(0, 39)}…` : text);
}

/**
 * A number in seven digits, and all of them on pointing at it.
 * @param {number} number
 */
export const exact = (number) => element("span", { title: String(number) }, short(number, 7));

/** @param {string} name */
export function variable(name) {
  const { stem, index } = indexed(name);
  return element("var", {}, stem, ...(index ? [element("sub", {}, index)] : []));
}

/** @param {string} formula */
export const math = (formula) =>
  mathParts(formula).map(({ kind, text }) => {
    if (kind === "power") return element("sup", {}, text);
    return kind === "name" ? variable(text) : text;
  });

/**
 * Mark the link to what is shown, and no other one.
 * @param {Iterable<HTMLAnchorElement>} links
 * @param {string} hash
 */
export function markCurrent(links, hash) {
  for (const link of links) {
    if (link.hash === hash) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}
