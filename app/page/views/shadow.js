// @ts-check
/**
 * How far the answers of the version with the label shadow are from the champion's, when a reader wants to know.
 *
 * @typedef {import("../api.js").Shadowed} Shadowed
 */
import { address } from "../api.js";
import { button, find, table } from "../dom.js";
import { percent, short } from "../format.js";
import { attempt } from "../problem.js";

/** @type {Record<string, string>} */
const SPANS = { hour: "last hour", day: "last day" };

/**
 * @param {HTMLElement} root
 * @param {import("../api.js").Server} server
 * @param {string} pattern
 */
export function offerShadow(root, server, pattern) {
  const problem = find(root, "#shadow-problem");
  const looked = Object.entries(SPANS).map(([since, words]) =>
    button(
      `Look at the ${words}`,
      () =>
        attempt(problem, async () => draw(root, await server.ask(`${address(pattern)}/shadow?since=${since}`), words)),
      { "aria-label": `Look at the shadow's ${words}` },
    ),
  );
  find(root, "#shadow-spans").replaceChildren(...looked);
}

/**
 * The card is there where a version is the shadow of another.
 * @param {HTMLElement} root
 * @param {import("../api.js").Summary} summary
 */
export function showShadow(root, { labels, champion }) {
  const version = labels["shadow"];
  const isOne = champion !== null && version !== undefined && version !== champion;
  find(root, "#shadow-card").hidden = !isOne;
  find(root, "#shadow-words").replaceChildren();
  find(root, "#shadow").replaceChildren();
  if (!isOne) return;
  const words = `Version ${version} answers a share of the questions beside version ${champion}, and nobody is sent that.`;
  find(root, "#shadow-hint").textContent = words;
}

/**
 * @param {HTMLElement} root
 * @param {Shadowed} shadowed
 * @param {string} span
 */
function draw(root, { questions, copied, dropped, failed, rows, outputs }, span) {
  const lost = [...(dropped ? [`${dropped} were dropped`] : []), ...(failed ? [`${failed} failed`] : [])].join(", ");
  find(root, "#shadow-words").textContent =
    `Questions in the ${span}: ${questions}. Copied to the shadow: ${copied}${lost ? ` (${lost})` : ""}. ` +
    `Rows compared: ${rows}.`;
  const areLabels = Object.values(outputs).some(({ agreement }) => agreement !== undefined);
  const heads = areLabels
    ? ["answer", "same label", "distance", "champion's test accuracy"]
    : ["answer", "RMSE of the differences", "mean size", "bias", "champion's test RMSE"];
  const lines = Object.entries(outputs).map(([name, found]) => ({ cells: [name, ...figures(found)] }));
  const made = lines.length ? [table("Differences between the shadow and the champion", heads, lines)] : [];
  find(root, "#shadow").replaceChildren(...made);
}

/** @param {Shadowed["outputs"][string]} found */
function figures({ agreement, distance = 0, rmse = 0, mae = 0, bias = 0, card }) {
  return agreement === undefined
    ? [rmse, mae, bias, card].map((figure) => short(figure, 3))
    : [percent(agreement), short(distance, 3), percent(card)];
}
