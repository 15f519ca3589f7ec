// @ts-check
/**
 * The versions of a pattern, and which of them answers.
 *
 * @typedef {import("../api.js").Summary} Summary
 * @typedef {import("../api.js").Version} Version
 */
import { address } from "../api.js";
import { button, element, find, table } from "../dom.js";
import { areLabels, percent, rSquared, short, when } from "../format.js";
import { attempt } from "../problem.js";
import { showComparison } from "./comparison.js";

const MOST_CARDS = 20;

export class Versions {
  #root;
  #server;
  #name;
  #changed;
  /** @type {number | null} */
  #champion = null;

  /**
   * @param {HTMLElement} root
   * @param {import("../api.js").Server} server
   * @param {string} name
   * @param {() => Promise<unknown>} changed   called when another version answers
   */
  constructor(root, server, name, changed) {
    this.#root = root;
    this.#server = server;
    this.#name = name;
    this.#changed = changed;
    find(root, "#rollback").addEventListener("click", () => this.#rollBack());
  }

  /**
   * Draw them, and return the newest one's recipe, if that can be read.
   * @param {Summary} summary
   */
  async show(summary) {
    this.#champion = summary.champion;
    const newestFirst = summary.versions.toReversed();
    this.#draw(
      summary,
      newestFirst.map((version) => ({ version })),
    );
    /** @type {Version[]} */
    const described = await Promise.all(
      newestFirst.map((version, place) => (place < MOST_CARDS ? this.#described(version) : { version })),
    );
    this.#draw(summary, described);
    return described[0]?.recipe;
  }

  /**
   * @param {number} version
   * @returns {Promise<Version>}
   */
  #described(version) {
    return this.#server.ask(`${address(this.#name)}/versions/${version}`).catch(() => ({ version }));
  }

  /**
   * @param {Summary} summary
   * @param {Version[]} described
   */
  #draw(summary, described) {
    const isOfLabels = described.some(({ card }) => card && areLabels(card.test.overall));
    const heads = [
      "version",
      "labels",
      "trained",
      ...(isOfLabels ? ["accuracy", "log loss"] : ["RMSE", "R²"]),
      "serving",
    ];
    const rows = described.map(({ version, card }) => ({
      mark: version === summary.champion ? "strong" : null,
      cells: [
        String(version),
        element("span", {}, ...labelsOf(version, summary).map(badge)),
        card ? when(card.lineage.trained_at) : "–",
        ...(card ? compared(card.test.overall) : ["–", "–"]),
        version === summary.champion ? "answers" : this.#choices(version, summary),
      ],
    }));
    find(this.#root, "#versions").hidden = rows.length === 0;
    find(this.#root, "#versions").replaceChildren(table("Versions, newest first", heads, rows));
    const isOldest = !summary.versions.some((version) => version < (summary.champion ?? 0));
    find(this.#root, "#rollback", HTMLButtonElement).disabled = isOldest;
  }

  /**
   * What can be done with a version that is not the champion.
   * @param {number} version
   * @param {Summary} summary
   */
  #choices(version, { champion, labels }) {
    const beside =
      champion === null ? [] : [this.#comparer(version, champion), this.#shadower(version, labels["shadow"])];
    return element("span", { class: "choices" }, this.#promoter(version), ...beside);
  }

  /**
   * @param {number} version
   * @param {number | undefined} shadow
   */
  #shadower(version, shadow) {
    const path = `${address(this.#name)}/labels/shadow`;
    const isShadow = version === shadow;
    const request = isShadow ? { method: "DELETE" } : { method: "PUT", body: { version } };
    const words = isShadow ? `Version ${version} is no shadow any more.` : `Version ${version} is the shadow now.`;
    const look = {
      class: "quiet",
      "aria-label": isShadow ? `End the shadow, version ${version}` : `Make version ${version} the shadow`,
    };
    return button(isShadow ? "End shadow" : "Make shadow", () => this.#change(path, request, words), look);
  }

  /**
   * @param {number} version
   * @param {number} champion
   */
  #comparer(version, champion) {
    const name = `Compare version ${version} with the champion`;
    return button("Compare", () => this.#compare(version, champion), { class: "quiet", "aria-label": name });
  }

  /**
   * @param {number} version
   * @param {number} champion
   */
  #compare(version, champion) {
    const place = find(this.#root, "#versions-compared");
    place.replaceChildren();
    return attempt(find(this.#root, "#versions-problem"), async () => {
      const query = `versions=${champion},${version}`;
      showComparison(place, await this.#server.ask(`${address(this.#name)}/compare?${query}`));
      place.focus({ preventScroll: true });
    });
  }

  /** @param {number} version */
  #promoter(version) {
    return button("Make champion", () => this.#promote(version), { "aria-label": `Make version ${version} champion` });
  }

  /** @param {number} version */
  #promote(version) {
    return this.#change(`${address(this.#name)}/labels/champion`, { method: "PUT", body: { version } });
  }

  #rollBack() {
    return this.#change(`${address(this.#name)}/rollback`, { method: "POST" });
  }

  /**
   * @param {string} path
   * @param {{ method: string, body?: unknown }} request
   * @param {string} [words]   what has changed, if it is not the champion
   */
  async #change(path, request, words) {
    const before = this.#champion;
    find(this.#root, "#versions-said").replaceChildren();
    await attempt(find(this.#root, "#versions-problem"), async () => {
      const { champion } = await this.#server.ask(path, request);
      await this.#changed();
      // The button that was pressed is gone.
      find(this.#root, "#versions").focus({ preventScroll: true });
      if (words === undefined) this.#say(champion, before);
      else find(this.#root, "#versions-said").replaceChildren(words);
    });
  }

  /**
   * Nobody is asked first: who rolls back is in a hurry, and what was done can be undone.
   * @param {number} champion
   * @param {number | null} before
   */
  #say(champion, before) {
    const words = `Version ${champion} is the champion now.`;
    const undo = before === null || before === champion ? [] : [" ", this.#undo(before)];
    find(this.#root, "#versions-said").replaceChildren(words, ...undo);
  }

  /** @param {number} before */
  #undo(before) {
    return button("Undo", () => this.#promote(before), {
      class: "quiet",
      "aria-label": `Undo: make version ${before} champion again`,
    });
  }
}

/**
 * @param {number} version
 * @param {Summary} summary
 */
const labelsOf = (version, { labels }) => Object.keys(labels).filter((label) => labels[label] === version);

/** @param {string} label */
const badge = (label) => element("span", { class: label === "champion" ? "badge champion" : "badge" }, label);

/** @param {import("../api.js").Score} score */
const compared = (score) =>
  areLabels(score) ? [percent(score.accuracy), short(score.log_loss)] : [short(score.rmse), rSquared(score.r2)];
