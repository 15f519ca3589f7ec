// @ts-check
/** What this is, for those who have chosen nothing yet. */
import { find, fromTemplate } from "../dom.js";

const FIRST = "add-ten";

export class Overview {
  kind = "overview";
  pattern = "";
  title = "Pattern Server";
  root = fromTemplate("overview-view");
  heading = find(this.root, "h2");

  /** @param {import("../main.js").Page} page */
  constructor({ patterns, training }) {
    const empty = find(this.root, "#empty");
    const problem = find(empty, "#empty-problem");
    patterns.addEventListener("change", () => (empty.hidden = patterns.known.length > 0));
    find(empty, "button").addEventListener("click", () => training.submit({ pattern: FIRST }, problem, empty));
  }

  async show() {}
}
