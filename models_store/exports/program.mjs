/**
 * A trained pattern in one file: raw values in, raw values out. An ES module for node and browsers, without dependencies.
 *
 *     node FILE < rows.csv > answers.csv         what the server's POST /predict answers to the same CSV
 *     node FILE --probabilities < rows.csv       of labels: how probable each is, too
 *
 *     import { predict } from "./FILE";
 *     predict([{ rooms: 3, district: "north" }]);
 */

const PATTERN = JSON.parse(String.raw`{}`);

/** What the training rows held of each column: a range, or values. Dates are ISO 8601. */
export const columns = Object.fromEntries((PATTERN.inputs?.columns ?? []).map(({ name, seen }) => [name, seen]));

/** A row that cannot be answered; the message names row and column. */
export class Refused extends Error {}

/**
 * Return the answer to each record: a number for each output, or the most probable label. A value that is null,
 * undefined or left out is missing. Throws Refused.
 * @param {Record<string, number | string | boolean | null | undefined>[]} records
 * @returns {Record<string, number | string | boolean>[]}
 */
export function predict(records) {
  const { output } = PATTERN;
  return answersTo(records).map((answer) =>
    Object.fromEntries(output.columns.map((name, place) => [name, named(answer, place, output.values)])),
  );
}

/**
 * Return, of a classification, how probable each label is for each record. Throws Refused.
 * @param {Record<string, number | string | boolean | null | undefined>[]} records
 * @returns {Record<string, Record<string, number>>[]}
 */
export function probabilities(records) {
  const { labels, column } = PATTERN.output;
  if (!labels) throw new Refused("only classification patterns have probabilities");
  const byLabel = (answer) => Object.fromEntries(labels.map((label, place) => [label, answer[place]]));
  return answersTo(records).map((answer) => Object.fromEntries([[column, byLabel(answer)]]));
}

const answersTo = (records) => answers(records.map((record, row) => valuesOf(record, `row ${row}`)));

const named = (answer, place, values) => (values ? values[answer.indexOf(Math.max(...answer))] : answer[place]);

// -- answers ----------------------------------------------------------------------------------------------------------

/** Return a list of answers for each row of parsed cells. */
function answers(rows) {
  const inputs = inputsOf(PATTERN.inputs);
  return rows.map((row, number) => {
    const encoded = inputs(row).map(rounded);
    const answer = decoded(network(encoded));
    if (!encoded.every(Number.isFinite) || !answer.every(Number.isFinite)) {
      throw new Refused(`row ${number}: a value is too large for the network, or its answer is not a finite number`);
    }
    return answer;
  });
}

/** What the server rounds to float32, before a network of float32 sees it. */
const rounded = (value) => (PATTERN.network.dtype === "float32" ? Math.fround(value) : value);

let unpackedLayers;

function network(encoded) {
  const { members, n_inputs: nInputs, layers } = PATTERN.network;
  unpackedLayers ??= layers.map(({ kernel, bias }) => ({ kernel: unpacked(kernel), bias: unpacked(bias) }));
  const mean = new Array(layers.at(-1).units).fill(0);
  for (let member = 0; member < members; member++) {
    let flowing = encoded;
    let width = nInputs;
    layers.forEach(({ units, activation }, place) => {
      const { kernel, bias } = unpackedLayers[place];
      flowing = ACTIVATIONS[activation](product(flowing, kernel, bias, member, width, units));
      width = units;
    });
    flowing.forEach((value, place) => (mean[place] += value));
  }
  return mean.map((sum) => sum / members);
}

function product(flowing, kernel, bias, member, width, units) {
  const sums = Array.from(bias.subarray(member * units, (member + 1) * units));
  for (let from = 0; from < width; from++) {
    const begin = (member * width + from) * units;
    for (let to = 0; to < units; to++) sums[to] += flowing[from] * kernel[begin + to];
  }
  return sums;
}

/** Return the numbers in base64 of little-endian bytes. */
function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const isShort = PATTERN.network.dtype === "float32";
  const size = isShort ? 4 : 8;
  return Float64Array.from({ length: bytes.length / size }, (_, place) =>
    isShort ? view.getFloat32(place * size, true) : view.getFloat64(place * size, true),
  );
}

const each = (activation) => (values) => values.map(activation);
const sigmoid = (x) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x)));
// Rounded to float32, as the network was trained with them.
const LEAKY_SLOPE = Math.fround(0.2);
const SQRT_HALF = Math.fround(Math.SQRT1_2);

function softmax(values) {
  const most = values.reduce((one, other) => Math.max(one, other));
  const powers = values.map((value) => Math.exp(value - most));
  const sum = powers.reduce((one, other) => one + other);
  return powers.map((power) => power / sum);
}

const ACTIVATIONS = {
  linear: (values) => values,
  relu: each((x) => Math.max(x, 0)),
  elu: each((x) => (x > 0 ? x : Math.expm1(x))),
  selu: each((x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x))),
  gelu: each((x) => x * 0.5 * erfc(-x * SQRT_HALF)),
  silu: each((x) => x * sigmoid(x)),
  softplus: each((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  tanh: each(Math.tanh),
  sigmoid: each(sigmoid),
  leaky_relu: each((x) => Math.max(x, LEAKY_SLOPE * x)),
  softsign: each((x) => x / (1 + Math.abs(x))),
  softmax,
};

/** The midpoint rule for erfc's integral over the line, which converges exponentially (Hunter and Regan, 1972). */
function erfc(x) {
  const step = 0.5;
  const a = Math.min(Math.abs(x), 30);
  let sum = 0;
  for (let n = 12; n >= 0; n--) {
    const t = step * (n + 0.5);
    sum += Math.exp(-t * t) / (a * a + t * t);
  }
  const integral = ((2 * step) / Math.PI) * a * Math.exp(-a * a) * sum;
  const above = integral + 2 / (Math.exp((2 * Math.PI * a) / step) + 1);
  return x < 0 ? 2 - above : above;
}

/** Return the raw number of a logarithm, between 0 and the highest that the pattern answers. */
function exponential({ shift, highest }, value, place) {
  const raw = Math.exp(Math.min(value, Math.log(highest[place] + shift[place]))) - shift[place];
  return Math.min(Math.max(raw, 0), highest[place]);
}

function decoded(outputs) {
  const { labels, is_binary: isBinary, scaler, logarithm } = PATTERN.output;
  if (!labels) {
    const found = outputs.map((value, place) => value * scaler.scale[place] + scaler.offset[place]);
    return logarithm ? found.map((value, place) => exponential(logarithm, value, place)) : found;
  }
  if (isBinary) return [1 - outputs[0], outputs[0]];
  const sum = outputs.reduce((one, other) => one + other);
  return outputs.map((value) => value / sum);
}

// -- encoders ---------------------------------------------------------------------------------------------------------

/** Return the function that makes the network's inputs of a row of parsed cells. */
function inputsOf({ columns: all, degree, scaler, pairs }) {
  if (degree) {
    const products = monomials(all.length, degree);
    return (row) =>
      products.map((factors, place) => {
        const raw = factors.reduce((product, factor) => product * row[factor], 1);
        return (raw - scaler.offset[place]) / scaler.scale[place];
      });
  }
  const encoders = all.map((column) => ({ encode: ENCODERS[column.kind](column.encoder), fill: column.fill }));
  const ofPairs = (pairs ?? []).map(pairOf);
  return (row) => {
    const filled = encoders.map(({ fill }, place) => row[place] ?? fill);
    const encoded = encoders.flatMap(({ encode }, place) => encode(filled[place]));
    return [...encoded, ...ofPairs.flatMap((encode) => encode(filled))];
  };
}

/** Return the encoder of two columns: their position along some directions of their plane, each as a number. */
function pairOf({ columns: places, scaler, directions, positions }) {
  const encoders = positions.map(numbers);
  return (filled) => {
    const [first, second] = places.map((place, side) =>
      filled[place] === null ? 0 : (filled[place] - scaler.offset[side]) / scaler.scale[side],
    );
    return directions.flatMap(([one, other], place) => encoders[place](one * first + other * second));
  };
}

/** Return the factors of every product of 1 to `degree` columns: x1, x2, x1², x1·x2, x2² for degree 2. */
function monomials(nColumns, degree) {
  const all = [];
  let before = [[]];
  for (let size = 1; size <= degree; size++) {
    before = before.flatMap((factors) => {
      const first = factors.at(-1) ?? 0;
      return Array.from({ length: nColumns - first }, (_, more) => [...factors, first + more]);
    });
    all.push(...before);
  }
  return all;
}

const CYCLES = { day: 1, week: 7, year: 365.2425 };
const DAY = 86400;

/** For each kind: an encoder becomes the function from a parsed cell, null where it is missing, to network inputs. */
const ENCODERS = {
  number: numbers,
  boolean: booleans,
  category: categories,
  text: texts,
  duration: ({ seconds }) => numbers(seconds),
  time: ({ seconds }) => dates(seconds, [DAY]),
  date: ({ days, cycles }) => dates(days, cycles.map((cycle) => CYCLES[cycle])),
};

function dates(encoder, lengths) {
  const encode = numbers(encoder);
  return (value) => {
    const turns = lengths.map((length) => (2 * Math.PI * (value ?? encoder.median)) / length);
    return [...turns.flatMap((turn) => [Math.sin(turn), Math.cos(turn)]), ...encode(value)];
  };
}

function numbers({ scaler, median, edges, takes_missing: takesMissing }) {
  const last = edges.length - 2;
  return (value) => {
    const filled = value ?? median;
    const encoded = [(filled - scaler.offset[0]) / scaler.scale[0]];
    for (let piece = 0; piece <= last; piece++) {
      const risen = (filled - edges[piece]) / (edges[piece + 1] - edges[piece]);
      // The first piece goes on below 0, the last one above 1.
      const above = piece === 0 ? risen : Math.max(risen, 0);
      encoded.push(piece === last ? above : Math.min(above, 1));
    }
    return takesMissing ? [...encoded, Number(value === null)] : encoded;
  };
}

function booleans({ takes_missing: takesMissing }) {
  return (value) => {
    const sign = value === null ? 0 : 2 * value - 1;
    return takesMissing ? [sign, Number(value === null)] : [sign];
  };
}

function categories({ values, means = {} }) {
  const meansOf = new Map(Object.entries(means));
  const noMeans = (Object.values(means)[0] ?? []).map(() => 0);
  const slots = new Map(values.map((value, slot) => [value, slot]));
  return (value) => {
    const encoded = new Array(values.length + 2).fill(0);
    encoded[value === null ? values.length + 1 : (slots.get(value) ?? values.length)] = 1;
    return [...encoded, ...(meansOf.get(value) ?? noMeans)];
  };
}

function texts({ words, weights, weighting, terms = "words" }) {
  const places = new Map(words.map((word, place) => [word, place]));
  return (value) => {
    const encoded = new Float32Array(words.length);
    for (const term of termsOf(value ?? "", terms)) {
      const place = places.get(term);
      if (place !== undefined) encoded[place] = weighting === "tf-idf" ? encoded[place] + weights[place] : 1;
    }
    if (weighting !== "tf-idf") return Array.from(encoded);
    const length = Math.fround(Math.sqrt(encoded.reduce((sum, weight) => sum + weight * weight, 0))) || 1;
    return Array.from(encoded, (weight) => Math.fround(weight / length));
  };
}

function termsOf(text, terms) {
  const words = text.toLowerCase().match(WORD) ?? [];
  if (terms === "words") return words;
  const beginnings = words.map((word) => Array.from(word).slice(0, 5));
  const long = beginnings.filter((letters) => letters.length === 5).map((letters) => `${letters.join("")}-`);
  const pairs = beginnings.slice(1).map((after, place) => `${beginnings[place].join("")} ${after.join("")}`);
  return [...words, ...long, ...pairs];
}

const WORD = /[\p{L}\p{N}]+(?:'[\p{L}\p{N}]+)?/gu;

// -- cells ------------------------------------------------------------------------------------------------------------

const NUMBER = /^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$/;
const INFINITE = /^[-+]?inf(?:inity)?$/i;
// A number with a leading zero, or with more digits than a float64 keeps, is a code.
const LEADING_ZERO = /^[-+]?0[0-9]/;
const MOST_DIGITS = 15;
const LONGEST_CATEGORY = 200;
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const SPACES = new RegExp(`^${SPACE}+|${SPACE}+$`, "g");
// The names that pandas gives to an index without a name.
const INDEX = /^(?:__index_level_[0-9]+__|Unnamed: 0)$/;
const EXPECTED = {
  number: "a number",
  category: "a text, a number or a boolean",
  boolean: "true or false",
  date: "a date such as 2024-05-31 or 2024-05-31T18:00",
  time: "a time of day such as 13:31 or 13:31:05",
  duration: "a duration such as 85:00:00, 3 days 13:00:00 or PT85H",
  text: "a text",
};

const strip = (text) => text.replace(SPACES, "");
const isText = (value) => typeof value === "string";

function valuesOf(record, where) {
  checkNames(Object.keys(record), `${where}: `);
  return PATTERN.inputs.columns.map((column) => {
    const value = Object.hasOwn(record, column.name) ? record[column.name] : null;
    return cell(column, value ?? null, where, false);
  });
}

function checkNames(given, where) {
  const all = PATTERN.inputs.columns;
  const names = all.map(({ name }) => name);
  const absent = all.filter(({ name }) => !given.includes(name));
  const missing = absent.filter((column) => !column.takes_missing || absent.length === all.length);
  if (missing.length) throw new Refused(`${where}missing: ${missing.map(({ name }) => name).join(", ")}`);
  const known = new Set([...names, ...PATTERN.ignored]);
  const unknown = given.filter((name) => !known.has(name) && !INDEX.test(name));
  if (unknown.length) {
    throw new Refused(`${where}no columns of the pattern: ${unknown.join(", ")}; there are ${names.join(", ")}`);
  }
}

/** Return the parsed value, null where it is missing. Throws Refused. */
function cell(column, value, row, isCsv) {
  const where = `${row}, column ${column.name}`;
  if (!column.encoder) return plainNumber(value, where, isCsv);
  const parsed = typed(column, value, where, isCsv);
  if (parsed === null && !column.takes_missing) {
    throw new Refused(`${where}: expected ${EXPECTED[column.kind]}, found no value; training saw none missing`);
  }
  return parsed;
}

function plainNumber(value, where, isCsv) {
  const isNumber = isCsv ? NUMBER.test(strip(value)) : typeof value === "number";
  if (!isNumber) throw new Refused(`${where}: expected a number`);
  return finite(Number(isText(value) ? strip(value) : value), where);
}

function finite(number, where) {
  if (!Number.isFinite(number)) throw new Refused(`${where}: expected a finite number`);
  return number;
}

function typed(column, value, where, isCsv) {
  if (value === null || isMissing(column, value, isCsv)) return null;
  const parsed = PARSERS[column.kind](value, where, isCsv, column);
  if (parsed === null) throw new Refused(`${where}: expected ${EXPECTED[column.kind]}`);
  if (!column.missing_cells.length) return parsed;
  const asCell = column.kind === "text" ? categoryOf(parsed) : parsed;
  const cells = isText(asCell) ? column.missing_cells : missingNumbers(column);
  return cells.includes(asCell) ? null : parsed;
}

const missingNumbers = (column) => column.missing_cells.map((word) => numberIn(word));

function isMissing(column, value, isCsv) {
  const { missing, nothing } = PATTERN.inputs.spelling;
  if (isCsv || column.takes_missing) {
    if (Number.isNaN(value)) return true;
    const word = isText(value) ? strip(value) : undefined;
    if (missing.includes(word) || (column.is_ordered && nothing.includes(word))) return true;
  }
  if (column.kind !== "number" || !column.missing_cells.length) return false;
  const number = isText(value) ? numberIn(value) : value;
  return Math.abs(number) === Infinity && missingNumbers(column).includes(number);
}

function numberIn(text) {
  const bare = strip(text);
  if (INFINITE.test(bare)) return bare.startsWith("-") ? -Infinity : Infinity;
  return NUMBER.test(bare) ? Number(bare) : null;
}

/** For each kind: a value becomes what its encoder takes, null where it is of another kind. */
const PARSERS = {
  number(value, where, isCsv) {
    const isNumber = isText(value) ? isCsv && NUMBER.test(strip(value)) : typeof value === "number";
    return isNumber ? finite(Number(isText(value) ? strip(value) : value), where) : null;
  },
  boolean(value) {
    if (typeof value === "boolean") return Number(value);
    const word = isText(value) ? strip(value).toLowerCase() : undefined;
    const { true: yes, false: no } = PATTERN.inputs.spelling;
    return yes.includes(word) ? 1 : no.includes(word) ? 0 : null;
  },
  category(value, where) {
    if (typeof value === "boolean") return String(value);
    if (typeof value === "number") return categoryOf(written(finite(value, where)));
    if (!isText(value)) return null;
    if ([...value].length > LONGEST_CATEGORY) {
      throw new Refused(`${where}: expected a category of at most ${LONGEST_CATEGORY} characters`);
    }
    return categoryOf(value);
  },
  text: (value) => (isText(value) ? value : null),
  date: firstOf((text, column) => {
    for (const form of column.forms) {
      const found = moment(form, text);
      if (found !== null) return Number(found) / (DAY * 1e6);
    }
    return null;
  }),
  time: firstOf((text, column) => {
    const found = column.format ? moment(column.format, text) : null;
    if (found === null) return timeOf(text);
    const day = BigInt(DAY) * MICROSECONDS;
    return Number(((found % day) + day) % day) / 1e6;
  }),
  duration: firstOf((text) => durationOf(text)),
};

/** Return the name of a category: one for 3, 3.0, 3e0 and "3", another for 007; one for True and true. */
function categoryOf(given) {
  const text = strip(given);
  if (NUMBER.test(text) && !LEADING_ZERO.test(text) && text.match(/[0-9]/g).length <= MOST_DIGITS) {
    const number = Number(text);
    const isWhole = Number.isInteger(number) && Math.abs(number) < 10 ** MOST_DIGITS;
    if (Number.isFinite(number)) return isWhole ? String(number) : written(number);
  }
  return ["True", "False", "TRUE", "FALSE"].includes(text) ? text.toLowerCase() : text;
}

/** Return a number with all the digits that tell two float64 apart, as Python writes it: 4.0, 1e+16, 1e-05. */
function written(number) {
  if (number === 0) return Object.is(number, -0) ? "-0.0" : "0.0";
  const [, sign, first, , rest = "", power] = /^(-?)([0-9])(\.([0-9]+))?e([-+][0-9]+)$/.exec(number.toExponential());
  const exponent = Number(power);
  const digits = first + rest;
  if (exponent < -4 || exponent >= 16) {
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${first}${rest ? "." : ""}${rest}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const padded = digits.padEnd(exponent + 2, "0");
  return `${sign}${padded.slice(0, exponent + 1)}.${padded.slice(exponent + 1)}`;
}

// -- dates, times of day and durations --------------------------------------------------------------------------------

const MICROSECONDS = 1000000n;
// Days since 1970 of the years 0001 to 9999.
const [FIRST_DAY, LAST_DAY] = [-719162n, 2932897n];
const MOST_DAYS = 3652059n;
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const expressions = new Map();

/** Return the parser that gives what `parse` makes of the first text that a value may stand for. */
function firstOf(parse) {
  return (value, _where, _isCsv, column) => {
    for (const text of textsOf(value, column.format !== undefined)) {
      const parsed = parse(text, column);
      if (parsed !== null) return parsed;
    }
    return null;
  };
}

/** Return the texts that a value may stand for: in a column with a format, of a whole number its digits. */
function textsOf(value, hasFormat) {
  if (hasFormat && Number.isInteger(value)) return [BigInt(value).toString()];
  if (!isText(value)) return [];
  const bare = strip(value);
  const whole = hasFormat ? /^(-?[0-9]+)\.0*$/.exec(bare) : null;
  return whole ? [bare, whole[1]] : [bare];
}

/** Return the named parts of a text, or null where it has not this form. */
function partsOf(form, text) {
  if (!expressions.has(form)) expressions.set(form, new RegExp(`^(?:${form.replaceAll("(?P<", "(?<")})$`));
  return expressions.get(form).exec(text)?.groups ?? null;
}

const whole = (part, otherwise = 0) => Number(part ?? otherwise);

function timeOf(text) {
  const part = partsOf(PATTERN.inputs.spelling.time, text);
  if (part === null || (part.minute === undefined && part.half === undefined)) return null;
  const found = microsOfDay(part);
  return found === null ? null : Number(found) / 1e6;
}

/** Return microseconds since 1970-01-01 00:00; null where the text has not this form, or there is no such day. */
function moment(form, text) {
  const part = partsOf(form, text);
  if (part === null) return null;
  const aDay = BigInt(DAY) * MICROSECONDS;
  for (const [name, unit] of [["epoch", MICROSECONDS], ["epoch_ms", 1000n]]) {
    if (part[name] === undefined) continue;
    const fraction = microsIn(part.fraction);
    const found = BigInt(part[name]) * unit + (part[name].startsWith("-") ? -fraction : fraction);
    return found >= FIRST_DAY * aDay && found < LAST_DAY * aDay ? found : null;
  }
  const [day, time] = [dayOf(part), microsOfDay(part)];
  return day === null || time === null ? null : BigInt(day) * aDay + time;
}

/** Return the days since 1970-01-01 of the parts of a date; null for a day that there is not. */
function dayOf(part) {
  const short = whole(part.short_year);
  const year = part.year === undefined ? short + (short >= 69 ? 1900 : 2000) : Number(part.year);
  if (part.week !== undefined) return dayOfWeek(year, Number(part.week), whole(part.weekday, 1));
  if (part.quarter !== undefined) return daysOf(year, 3 * Number(part.quarter) - 2, 1);
  if (part.day_of_year !== undefined) {
    const first = daysOf(year, 1, 1);
    const number = Number(part.day_of_year);
    return first === null || number < 1 || number > (isLeap(year) ? 366 : 365) ? null : first + number - 1;
  }
  const month = part.name === undefined ? whole(part.month, 1) : 1 + MONTHS.indexOf(part.name.slice(0, 3).toLowerCase());
  return daysOf(year, month, whole(part.day, 1));
}

function dayOfWeek(year, week, weekday) {
  const first = daysOf(year, 1, 4);
  if (first === null) return null;
  // 1970-01-01 was a Thursday.
  const monday = (day) => day - ((((day + 3) % 7) + 7) % 7);
  const weeks = Math.round((monday(daysOf(year + 1, 1, 4) ?? first + 364) - monday(first)) / 7);
  return week < 1 || week > weeks || weekday < 1 || weekday > 7 ? null : monday(first) + 7 * (week - 1) + weekday - 1;
}

const isLeap = (year) => (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;

function daysOf(year, month, day) {
  const length = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
  if (year < 1 || year > 9999 || length === undefined || day < 1 || day > length) return null;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getTime() / (DAY * 1000);
}

function microsOfDay(part) {
  let hour = whole(part.hour);
  const [minute, second] = [whole(part.minute), whole(part.second)];
  if (part.half !== undefined) {
    if (hour < 1 || hour > 12) return null;
    hour = (hour % 12) + ("Pp".includes(part.half) ? 12 : 0);
  }
  if (hour > 23 || minute > 59 || second > 59) return null;
  return BigInt(hour * 3600 + minute * 60 + second) * MICROSECONDS + microsIn(part.fraction);
}

const microsIn = (fraction) => BigInt((fraction ?? "").slice(0, 6).padEnd(6, "0"));

function durationOf(text) {
  let part = null;
  for (const form of PATTERN.inputs.spelling.durations) part ??= partsOf(form, text);
  if (part === null) return null;
  const big = (name) => BigInt((part[name] ?? "0").replace("+", "") || "0");
  const sign = part.sign === "-" ? -1n : 1n;
  const ofDays = (big("weeks") * 7n + big("days")) * BigInt(DAY) * MICROSECONDS;
  const fraction = microsIn(part.fraction) * ((part.seconds ?? "").startsWith("-") ? -1n : 1n);
  const ofTime = (big("hours") * 3600n + big("minutes") * 60n + big("seconds")) * MICROSECONDS + fraction;
  // Of `-3 days 13:00:00` the days alone are negative.
  const micros =
    "time_sign" in part ? sign * ofDays + (part.time_sign === "-" ? -ofTime : ofTime) : sign * (ofDays + ofTime);
  const size = micros < 0n ? -micros : micros;
  return size <= MOST_DAYS * BigInt(DAY) * MICROSECONDS ? Number(micros) / 1e6 : null;
}

// -- CSV --------------------------------------------------------------------------------------------------------------

/** Return the text of bytes, without a byte order mark. Throws Refused. */
function utf8(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Refused("the CSV is not UTF-8");
  }
}

/** Yield the fields of each row, and the line where it ends, from 1. Throws Refused where it is no CSV. */
function* rowsOf(text) {
  let [place, line] = [0, 0];
  while (place < text.length) {
    const fields = [];
    for (let ended = false; !ended; ) {
      let field = "";
      const isQuoted = text[place] === '"';
      if (isQuoted) {
        for (place++; ; place += 2) {
          const end = text.indexOf('"', place);
          if (end < 0) throw new Refused(`line ${line + 1}: a quote is not closed`);
          field += text.slice(place, end);
          place = end;
          if (text[end + 1] !== '"') break;
          field += '"';
        }
        place++;
        line += field.match(/\r\n|\r|\n/g)?.length ?? 0;
      }
      const rest = /[^,\r\n]*/y;
      rest.lastIndex = place;
      const [unquoted] = rest.exec(text);
      if (isQuoted && unquoted) throw new Refused(`line ${line + 1}: a comma must stand behind a closing quote`);
      place += unquoted.length;
      fields.push(field + unquoted);
      ended = text[place] !== ",";
      place += text[place] === "\r" && text[place + 1] === "\n" ? 2 : 1;
      if (ended && fields.length === 1 && !isQuoted && !unquoted) fields.pop();
    }
    line++;
    yield { fields, line };
  }
}

/** Return rows of parsed cells in the order of the pattern's columns. Throws Refused, which names the line. */
function readCsv(text) {
  const lines = rowsOf(text);
  const header = (lines.next().value?.fields ?? []).map(strip);
  if (!header.length) throw new Refused("the first line must name the columns");
  if (header.length > 1 && !header[0]) header[0] = "Unnamed: 0"; // the index of pandas
  if (new Set(header).size !== header.length) throw new Refused("line 1: two columns have one name");
  checkNames(header, "line 1: ");
  const places = PATTERN.inputs.columns.map((column) => ({ column, place: header.indexOf(column.name) }));
  const rows = [];
  let blank = 0;
  for (const { fields, line } of lines) {
    if (!fields.length) blank ||= line;
    if (!fields.length) continue;
    if (blank) throw new Refused(`line ${blank}: empty, with more rows after it`);
    if (fields.length !== header.length) {
      throw new Refused(`line ${line}: expected ${header.length} fields, found ${fields.length}`);
    }
    // A column that the header leaves out is missing.
    rows.push(places.map(({ column, place }) => cell(column, fields[place] ?? "", `line ${line}`, true)));
  }
  if (!rows.length) throw new Refused("the CSV has a header and no rows");
  return rows;
}

function csvOf(answered, withProbabilities) {
  const { columns: names, column, labels, written: labelTexts } = PATTERN.output;
  const isLikely = withProbabilities && labels;
  const header = [...names, ...(isLikely ? labels.map((label) => `${column}=${label}`) : [])];
  const rows = answered.map((answer) => {
    const said = labels ? [named(answer, 0, labelTexts)] : answer.map(written);
    return isLikely ? [...said, ...answer.map(written)] : said;
  });
  return [header, ...rows].map((row) => `${row.map((field) => quoted(field, row.length)).join(",")}\n`).join("");
}

const quoted = (field, nFields) =>
  /[",\r\n]/.test(field) || (nFields === 1 && !field) ? `"${field.replaceAll('"', '""')}"` : field;

// -- program ----------------------------------------------------------------------------------------------------------

if (typeof process !== "undefined" && process.argv?.[1]) {
  const { readFileSync, realpathSync } = await import("node:fs");
  const { pathToFileURL } = await import("node:url");
  if (import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
    try {
      const answered = answers(readCsv(utf8(readFileSync(0))));
      process.stdout.write(csvOf(answered, process.argv.includes("--probabilities")));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      process.stderr.write(`error: ${error.message}\n`);
      process.exitCode = 1;
    }
  }
}
