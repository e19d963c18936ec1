// Reading traces: an index by columns, and chunks of texts that are unpacked when they are looked at.
// Two sources answer alike: elements of this page (gzip, base64), or the server that the page came from.

const WORDS = ["run", "set", "kind", "prompt", "state", "finish", "result", "thought", "said", "judge", "group", "phase"];
const NUMBERS = ["temperature", "sample", "refused", "thinking_tokens", "answer_tokens", "characters", "entropy",
  "reflections", "reward", "step"];
const MOST_NATS = 16; // a byte b stands for MOST_NATS * (b / 255) ** 2 nats
const KEPT_BYTES = 300e6; // unpacked chunks that stay in memory

const nats = (byte) => MOST_NATS * (byte / 255) ** 2;

function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function gunzip(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

class Index {
  // Columns of all traces known so far; words are numbered by field.
  constructor() {
    this.count = 0;
    this.version = 0;
    this.words = Object.fromEntries(WORDS.map((field) => [field, []]));
    this.snippets = [];
    for (const field of WORDS) this[field] = new Uint32Array(0);
    for (const field of NUMBERS) this[field] = new Float64Array(0);
  }

  append(part) {
    const { from, count, columns } = part;
    for (const field of WORDS) for (const word of part.words[field]) this.words[field].push(plain(word));
    for (const snippet of part.snippets) this.snippets.push(snippet);
    for (const field of [...WORDS, ...NUMBERS]) {
      const values = columns[field];
      if (from + count > this[field].length) {
        const larger = new this[field].constructor(Math.max(from + count, 2 * this[field].length));
        larger.set(this[field]);
        this[field] = larger;
      }
      const column = this[field];
      if (!Array.isArray(values)) column.fill(values ?? NaN, from, from + count);
      else for (let i = 0; i < count; i++) column[from + i] = values[i] === null ? NaN : values[i];
    }
    this.count = from + count;
    this.version++;
  }

  word(field, i) {
    return this.words[field][this[field][i]];
  }

  // Reads a trace's columns by name; missing numbers are null.
  reader(i) {
    return (column) => {
      if (this.words[column]) return this.word(column, i);
      return Number.isNaN(this[column][i]) ? null : this[column][i];
    };
  }

  // What an opened trace is called in the page's address.
  nameOf(i) {
    const group = this.word("group", i);
    if (group) return [this.word("run", i), group, this.sample[i]].join("~");
    const names = [this.word("run", i), this.word("set", i), this.temperature[i], this.word("prompt", i)];
    return [...names, this.sample[i]].join("~");
  }

  find(name) {
    const run = this.words.run.indexOf(name.split("~")[0]);
    for (let i = 0; i < this.count; i++) if (this.run[i] === run && this.nameOf(i) === name) return i;
    return -1;
  }
}

function parseChunk(bytes, first) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const chunk = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  let at = 4 + length;
  chunk.first = first;
  chunk.places = chunk.tokens.map((sizes) => {
    const place = at;
    if (sizes) at += sizes[0] + sizes[1] + sizes[2];
    return place;
  });
  chunk.bytes = bytes;
  return chunk;
}

function tokensOf(chunk, k) {
  if (!chunk.tokens[k]) return null;
  const [count, startBytes, klBytes] = chunk.tokens[k];
  const at = chunk.places[k];
  const steps = chunk.bytes.subarray(at + count + klBytes, at + count + klBytes + startBytes);
  const starts = new Uint32Array(count);
  let position = 0;
  for (let i = 0, token = 0; i < steps.length; i++) {
    position += steps[i];
    if (steps[i] < 255) starts[token++] = position;
  }
  const kl = klBytes ? chunk.bytes.subarray(at + count, at + count + klBytes) : null;
  return { count, starts, entropy: chunk.bytes.subarray(at, at + count), kl };
}

class EmbeddedSource {
  live = false;

  async head() {
    const head = JSON.parse(new TextDecoder().decode(await this.unpack("lrmctl-index")));
    this.starts = head.chunks;
    return head;
  }

  chunkOf(i) {
    let low = 0;
    let high = this.starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.starts[middle] <= i) low = middle;
      else high = middle;
    }
    return low;
  }

  async load(k) {
    if (!document.getElementById(`lrmctl-chunk-${k}`) && document.readyState === "loading")
      await new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
    return parseChunk(await this.unpack(`lrmctl-chunk-${k}`), this.starts[k]);
  }

  unpack(id) {
    return gunzip(fromBase64(document.getElementById(id).textContent));
  }

  complete() {
    return true;
  }
}

class LiveSource {
  live = true;
  size = 64; // traces of a chunk

  async head() {
    return this.ask("state").then((answer) => answer.json());
  }

  part(from) {
    return this.ask(`index?from=${from}`).then((answer) => answer.json());
  }

  chunkOf(i) {
    return Math.floor(i / this.size);
  }

  async load(k) {
    const answer = await this.ask(`chunk?from=${k * this.size}&to=${(k + 1) * this.size}`);
    return parseChunk(new Uint8Array(await answer.arrayBuffer()), k * this.size);
  }

  async ask(what) {
    const answer = await fetch(what, { cache: "no-store" });
    if (!answer.ok) throw new Error((await answer.text()) || `the server answered ${answer.status}`);
    return answer;
  }

  complete(chunk) {
    return chunk.count === this.size;
  }
}

class Store {
  // Traces by number; chunks that were used last stay unpacked.
  constructor(source) {
    this.source = source;
    this.chunks = new Map();
    this.bytes = 0;
  }

  clear() {
    this.chunks.clear();
    this.bytes = 0;
  }

  async chunk(k) {
    let chunk = this.chunks.get(k);
    if (chunk) {
      this.chunks.delete(k);
      this.chunks.set(k, chunk);
      return chunk;
    }
    chunk = await this.source.load(k);
    if (this.source.complete(chunk) && !this.chunks.has(k)) {
      this.chunks.set(k, chunk);
      this.bytes += chunk.bytes.length;
      for (const [oldest, old] of this.chunks) {
        if (this.bytes <= KEPT_BYTES || oldest === k) break;
        this.chunks.delete(oldest);
        this.bytes -= old.bytes.length;
      }
    }
    return chunk;
  }

  async trace(i) {
    const chunk = await this.chunk(this.source.chunkOf(i));
    const k = i - chunk.first;
    const found = { number: i };
    for (const key in chunk.columns) found[key] = chunk.columns[key][k];
    found.tokens = tokensOf(chunk, k);
    return found;
  }

  // Marks in `matches` which of the first `count` traces pass test(i, textOf); stops once `wanted()` is false.
  async search(test, texts, count, matches, from, wanted, progress) {
    const noText = () => "";
    if (!texts) {
      for (let i = from; i < count; i++) matches[i] = test(i, noText) ? 1 : 0;
      progress(count);
      return;
    }
    for (let i = from; i < count && wanted(); ) {
      const chunk = await this.chunk(this.source.chunkOf(i));
      const { columns } = chunk;
      const end = Math.min(count, chunk.first + chunk.count);
      for (; i < end; i++) {
        const k = i - chunk.first;
        matches[i] = test(i, (key) => (key === "prompt" ? promptText(columns.prompt[k]) : columns[key][k])) ? 1 : 0;
      }
      if (chunk.count === 0) return;
      progress(i);
    }
  }
}

const promptText = (prompt) => (typeof prompt === "string" ? prompt : prompt.map(([, content]) => content).join("\n"));

const escapedWords = (words) => words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

const searchPattern = (several, flags) => new RegExp(several.map(escapedWords).join("|"), flags);

// Whether a trace holds these words in any of its texts.
function wordsTest(words) {
  const pattern = searchPattern([words], "i");
  return (_, textOf) => ["thinking", "answer", "prompt"].some((key) => pattern.test(textOf(key)));
}

// The condition that a search is; null if it is words, such as those of which no field has the name.
function queryOf(words) {
  try {
    return words && /[<>=~"']/.test(words) ? parseQuery(words) : null;
  } catch (error) {
    if (error instanceof NoQuery) return null;
    throw error;
  }
}
