// Text of a model as elements: only ever as text nodes. Tokens are coloured by entropy, reflections and found words are
// marked, judged segments get a bar and a word, and characters that turn or hide text are shown by their number.

const LEVELS = [0.1, 0.3, 0.7, 1.5, 3]; // nats at which each colour begins
const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|\r(?!\n)/g;
const PARAGRAPH = 3000; // characters drawn as one block, cut at line ends
const LONGEST_LINE = 20000; // a longer line is cut so that the browser can lay it out piece by piece
const AT_ONCE = 60000; // characters drawn before the browser may do something else

const numberOf = (character) => `\u27e8U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`;

// Words for a label: characters that turn or hide text are shown by their number.
const plain = (words) => String(words).replace(HIDDEN, numberOf);

function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children.map((child) => (typeof child === "string" ? plain(child) : child)));
  return element;
}

const levelOf = Uint8Array.from({ length: 256 }, (_, byte) => LEVELS.filter((bound) => nats(byte) >= bound).length);

// Runs of tokens with one colour: [start, end, level, ...] in order; tokens without colour are left out, and so is the
// blank space that a run begins with.
function colourRuns(tokens, channel, text) {
  const values = tokens?.[channel];
  if (!values) return [];
  const runs = [];
  for (let t = 0; t < tokens.count; t++) {
    const level = levelOf[values[t]];
    const end = t + 1 < tokens.count ? tokens.starts[t + 1] : text.length;
    if (!level || end <= tokens.starts[t]) continue;
    const last = runs.length - 3;
    if (last >= 0 && runs[last + 2] === level && runs[last + 1] === tokens.starts[t]) runs[last + 1] = end;
    else {
      let start = tokens.starts[t];
      while (start < end - 1 && /\s/.test(text[start])) start++;
      runs.push(start, end, level);
    }
  }
  return runs;
}

function matchesOf(text, pattern) {
  const found = [];
  if (pattern) {
    for (const match of text.matchAll(pattern)) {
      if (match[0]) found.push(match.index, match.index + match[0].length);
      if (found.length > 20000) break;
    }
  }
  return found;
}

// Steps through spans in order: which one covers a place, and where that next changes.
class Sweep {
  constructor(spans, width) {
    Object.assign(this, { spans, width, at: 0 });
  }

  move(place) {
    while (this.at < this.spans.length && this.spans[this.at + 1] <= place) this.at += this.width;
    if (this.at >= this.spans.length) return { inside: false, until: Infinity };
    const inside = this.spans[this.at] <= place;
    return { inside, until: inside ? this.spans[this.at + 1] : this.spans[this.at], value: this.spans[this.at + 2] };
  }
}

// Adds text to an element; a character that cannot be seen is shown by its number.
function addPlain(element, text, start) {
  let end = 0;
  const add = (piece, at) => {
    const node = document.createTextNode(piece);
    node.place = at;
    element.append(node);
  };
  for (const found of text.matchAll(HIDDEN)) {
    if (found.index > end) add(text.slice(end, found.index), start + end);
    const shown = make("span", "v-hidden", numberOf(found[0]));
    shown.firstChild.place = start + found.index;
    element.append(shown);
    end = found.index + 1;
  }
  if (end < text.length) add(text.slice(end), start + end);
}

// Where the text is cut into blocks: judged segments with a word, what lies between them (null), and blank space ("").
function blocksOf(text, segments) {
  const parts = [];
  let at = 0;
  const between = (end) => {
    if (end > at) parts.push({ start: at, end, word: text.slice(at, end).trim() ? null : "" });
  };
  for (const [start, end, word] of segments) {
    if (start < at || end <= start) continue;
    between(start);
    parts.push({ start, end, word });
    at = end;
  }
  between(text.length);
  return parts;
}

function paragraphEnd(text, start, end) {
  if (end - start <= PARAGRAPH) return end;
  const line = text.indexOf("\n", start + PARAGRAPH);
  if (line >= 0 && line < Math.min(end, start + LONGEST_LINE)) return line + 1;
  if (end - start <= LONGEST_LINE) return end;
  let cut = start + LONGEST_LINE;
  if (text.charCodeAt(cut) >= 0xdc00 && text.charCodeAt(cut) < 0xe000) cut++; // not between halves of a character
  return cut;
}

// Fills an element with a text; long ones go on while the browser is idle, until `wanted()` is false.
function drawText(element, text, { segments = [], hits = [], tokens = null, channel = "", pattern = null } = {}, wanted) {
  const sweeps = [new Sweep(colourRuns(tokens, channel, text), 3), new Sweep(hits, 2)];
  sweeps.push(new Sweep(matchesOf(text, pattern), 2));
  const parts = blocksOf(text, segments);
  let part = 0;
  let at = 0;
  let holder = null;
  const step = () => {
    if (!wanted()) return;
    const until = at + AT_ONCE;
    while (part < parts.length && at < until) {
      const { start, end, word } = parts[part];
      if (at === start) element.append((holder = segmentElement(word)));
      const stop = paragraphEnd(text, at, end);
      const block = make("div", "v-paragraph");
      drawPieces(block, text, at, stop, sweeps);
      holder.append(block);
      at = stop;
      if (at >= end) part++;
    }
    if (part < parts.length) setTimeout(step, 0);
    else element.dataset.drawn = "all";
  };
  step();
}

function segmentElement(word) {
  if (!word) return make("div", word === null ? "v-segment" : "v-segment blank");
  const tone = { safe: "good", unsafe: "bad", malformed: "odd" }[word] || "none";
  const element = make("div", `v-segment judged ${tone}`);
  element.append(make("span", "v-word", word));
  return element;
}

function drawPieces(block, text, start, stop, sweeps) {
  for (let at = start; at < stop; ) {
    const [colour, hit, found] = sweeps.map((sweep) => sweep.move(at));
    const end = Math.min(stop, colour.until, hit.until, found.until);
    const classes = [];
    if (colour.inside) classes.push(`v-h${colour.value}`);
    if (hit.inside) classes.push("v-reflection");
    if (found.inside) classes.push("v-found");
    const piece = text.slice(at, end);
    if (classes.length) {
      const element = make(found.inside ? "mark" : "span", classes.join(" "));
      addPlain(element, piece, at);
      block.append(element);
    } else addPlain(block, piece, at);
    at = end;
  }
}

// The token under the pointer, as words for the legend.
function tokenAt(event, text, tokens, channel) {
  const caret = document.caretPositionFromPoint?.(event.clientX, event.clientY);
  const range = caret ? null : document.caretRangeFromPoint?.(event.clientX, event.clientY);
  const node = caret ? caret.offsetNode : range?.startContainer;
  if (node?.place === undefined || !tokens?.[channel]) return "";
  const place = node.place + (caret ? caret.offset : range.startOffset);
  let low = 0;
  let high = tokens.count;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (tokens.starts[middle] <= place) low = middle;
    else high = middle;
  }
  const end = low + 1 < tokens.count ? tokens.starts[low + 1] : text.length;
  const words = text.slice(tokens.starts[low], end).replace(HIDDEN, "\ufffd").replace(/\n/g, "\u21b5");
  return `\u201c${words}\u201d ${nats(tokens[channel][low]).toFixed(2)} nats`;
}
