// @ts-check
/**
 * The list of all patterns, beside every view; it tells its listeners when it has changed.
 *
 * @typedef {import("../api.js").Summary} Summary
 */
import { element, find, findAll, markCurrent } from "../dom.js";
import { scoreOf } from "../format.js";
import { attempt } from "../problem.js";

/** Dispatches `change` whenever the server has said which patterns there are. */
export class PatternList extends EventTarget {
  #root = find(document, "nav.patterns");
  #server;
  #chosen = "";
  /** @type {Summary[]} */
  known = [];
  /** The last look at the server. */
  loading = Promise.resolve();

  /** @param {import("../api.js").Server} server */
  constructor(server) {
    super();
    this.#server = server;
  }

  load() {
    this.loading = attempt(find(this.#root, "#patterns-problem"), async () => {
      const { patterns } = await this.#server.ask("/patterns");
      this.known = patterns;
      find(this.#root, "#pattern-list").replaceChildren(...this.known.map(listed));
      this.choose(this.#chosen);
      this.dispatchEvent(new Event("change"));
    });
    return this.loading;
  }

  /** @param {string} name */
  has(name) {
    return this.known.some((pattern) => pattern.name === name);
  }

  /** @param {string} name   empty for none */
  choose(name) {
    this.#chosen = name;
    markCurrent(findAll(this.#root, "#pattern-list a", HTMLAnchorElement), `#${name}`);
  }
}

/** @param {Summary} pattern */
function listed({ name, champion, description, test }) {
  const link = element(
    "a",
    { href: `#${name}` },
    element("span", { class: "name" }, name),
    element("span", { class: "badge" }, champion ? `v${champion}` : "none"),
    element("span", { class: "about" }, champion ? description : "No version of it can be served."),
  );
  if (test) link.append(element("span", { class: "score" }, scoreOf(test)));
  return element("li", {}, link);
}
