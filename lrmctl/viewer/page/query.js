// Conditions such as `thinking=unsafe and answer=safe` in the search, the same as of `lrmctl traces --where`: see
// lrmctl/viewer/query.py, which QUERY_FIELDS comes from. What is no condition is looked for as words.

const QUERY_TOKEN = /\s*(?:([()])|(<=|>=|!=|==?|[<>~])|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s()<>=!~"']+))/sy;
const COMPARED = { "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b };
const NO_VALUE = "none";

class NoQuery extends Error {}

// {test(valueOf, textOf), words}: valueOf(column) is a word or number, textOf(key) a text; words are those looked for.
function parseQuery(text) {
  const tokens = queryTokens(text);
  const words = [];
  let at = 0;
  const peek = () => tokens[at] || { kind: "end", word: "" };
  const take = (kind, ...wanted) => {
    const { kind: found, word } = peek();
    if (found !== kind || !wanted.includes(word.toLowerCase())) return "";
    at++;
    return word.toLowerCase();
  };
  const fail = (what) => {
    throw new NoQuery(what);
  };
  const anyOf = () => {
    const parts = [allOf()];
    while (take("word", "or")) parts.push(allOf());
    return (...trace) => parts.some((part) => part(...trace));
  };
  const allOf = () => {
    const parts = [one()];
    while (take("word", "and")) parts.push(one());
    return (...trace) => parts.every((part) => part(...trace));
  };
  const one = () => {
    if (take("word", "not")) {
      const negated = one();
      return (...trace) => !negated(...trace);
    }
    if (take("sign", "(")) {
      const inside = anyOf();
      if (!take("sign", ")")) fail("')' is missing");
      return inside;
    }
    return comparison();
  };
  const contains = (field, word) => {
    words.push(word);
    const small = word.toLowerCase();
    const has = (found) => String(found).toLowerCase().includes(small);
    if (!field.texts.length) return (valueOf) => has(valueOf(field.column) ?? "");
    return (_, textOf) => field.texts.some((key) => has(textOf(key)));
  };
  const comparison = () => {
    const { kind, word } = peek();
    if (kind === "quoted") {
      at++;
      return contains(QUERY_FIELDS.text, word);
    }
    if (kind !== "word") fail("a field is missing");
    at++;
    const given = word.toLowerCase().replaceAll("-", "_");
    const name = { result: "outcome", id: "prompt" }[given] || given;
    if (!Object.hasOwn(QUERY_FIELDS, name)) fail(`there is no field ${word}`);
    const field = QUERY_FIELDS[name];
    const op = take("op", "=", "==", "!=", "~", ...Object.keys(COMPARED));
    if (!op) fail(`${name} needs one of = != < <= > >= ~ and a value`);
    const value = peek();
    if (!["word", "quoted"].includes(value.kind)) fail(`a value is missing after ${name}${op}`);
    at++;
    if (op === "~") return contains(field, value.word);
    if (!field.column) fail(`${name} is looked in with ~`);
    if (COMPARED[op]) {
      const bound = field.numeric ? queryNumber(value.word) : NaN;
      if (Number.isNaN(bound)) fail(`${name}${op} needs a number`);
      return (valueOf) => COMPARED[op](valueOf(field.column) ?? NaN, bound);
    }
    const wanted = value.word.toLowerCase() === NO_VALUE ? NO_VALUE : queryWanted(field, value.word);
    if (wanted === undefined) fail(`${name} is never ${value.word}`);
    return (valueOf) => (queryValue(name, valueOf(field.column)) === wanted) === (op !== "!=");
  };
  if (!tokens.length) fail("it is empty");
  const test = anyOf();
  if (at < tokens.length) fail("'and' or 'or' is missing");
  return { test, words };
}

function queryTokens(text) {
  const tokens = [];
  const end = text.trimEnd().length;
  QUERY_TOKEN.lastIndex = 0;
  while (QUERY_TOKEN.lastIndex < end) {
    const found = QUERY_TOKEN.exec(text);
    if (!found) throw new NoQuery("it cannot be read");
    const [, sign, op, double, single, word] = found;
    const quoted = double ?? single;
    if (quoted !== undefined) tokens.push({ kind: "quoted", word: quoted.replace(/\\(.)/gs, "$1") });
    else tokens.push({ kind: sign ? "sign" : op ? "op" : "word", word: sign || op || word });
  }
  return tokens;
}

const queryNumber = (word) => (/^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(word) ? Number(word) : NaN);

// What a field is compared with; undefined if it never has this value.
function queryWanted(field, word) {
  if (field.numeric) return Number.isNaN(queryNumber(word)) ? undefined : queryNumber(word);
  if (!field.values.length) return word;
  const value = word.toLowerCase().replace(/[-_]/g, " ");
  return field.values.includes(value) ? value : undefined;
}

function queryValue(name, found) {
  if (name === "refused") return { 0: "no", 1: "yes" }[found] || NO_VALUE;
  return found === undefined || found === null || found === "" || Number.isNaN(found) ? NO_VALUE : found;
}
