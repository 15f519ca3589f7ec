// @ts-check
/** A version as one file of another language or format, saved where the reader's browser saves files. */
import { address } from "../api.js";
import { element, find } from "../dom.js";
import { counted } from "../format.js";
import { attempt } from "../problem.js";

/**
 * @param {HTMLElement} root
 * @param {import("../api.js").Server} server
 * @param {string} pattern
 */
export function offerExports(root, server, pattern) {
  const form = find(root, "#export", HTMLFormElement);
  const said = find(root, "#export-said");
  form.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const target = find(form, "#export-to", HTMLSelectElement).value;
    said.textContent = "The file is being written…";
    const tried = await attempt(find(root, "#export-problem"), async () => {
      const { content, headers } = await server.file(`${address(pattern)}/export?to=${target}`);
      save(content, /filename="([^"]+)"/.exec(headers.get("content-disposition") ?? "")?.[1] ?? pattern);
      return headers;
    });
    said.textContent = tried ? inWords(tried) : "";
  });
}

/** @param {Headers} headers those of a bundle have no figures: the server that imports it tries it */
const inWords = (headers) =>
  headers.has("x-export-rows")
    ? `Tried on ${counted(Number(headers.get("x-export-rows")), "row")}: its answers differ from the server's by at most ` +
      `${headers.get("x-export-difference")}; ${headers.get("x-export-tolerance")} is allowed.`
    : `Version ${headers.get("x-pattern-version")}, whole. It is tried where it is imported.`;

/**
 * @param {Blob} content
 * @param {string} name
 */
function save(content, name) {
  const href = URL.createObjectURL(content);
  element("a", { href, download: name }).click();
  URL.revokeObjectURL(href);
}
