// What the list shows: traces that pass the filters, in an order; or groups of rollouts. And the list that draws only
// what is on the screen.

const FILTERS = [
  ["kind", "Kind of prompt"],
  ["result", "Outcome"],
  ["thought", "Thinking"],
  ["said", "Answer"],
  ["run", "Arm"],
  ["set", "Set"],
  ["temperature", "Temperature"],
  ["state", "Thought is"],
];
const ORDERS = {
  evaluation: [
    ["", "as evaluated"],
    ["longest", "longest thought"],
    ["shortest", "shortest thought"],
    ["entropy", "highest entropy"],
    ["-entropy", "lowest entropy"],
    ["reflections", "most reflections"],
  ],
  training: [
    ["", "newest first"],
    ["oldest", "oldest first"],
    ["spread", "largest reward spread"],
    ["-spread", "smallest reward spread"],
    ["reward", "highest mean reward"],
    ["-reward", "lowest mean reward"],
    ["longest", "longest thoughts"],
  ],
};

const lengthOf = (index, i) => {
  const tokens = index.thinking_tokens[i];
  return Number.isNaN(tokens) ? index.characters[i] / 4 : tokens;
};

// Numbers of the traces that pass, and for each filter how many traces each of its values would show.
function select(index, view, matches) {
  const training = view.mode === "training";
  const evaluation = index.words.phase.indexOf("evaluation");
  const unsafe = index.words.thought.indexOf("unsafe");
  const safe = index.words.said.indexOf("safe");
  const tests = FILTERS.map(([field]) => {
    const value = view.filters[field];
    const [names, codes] = field === "temperature" ? temperatures(index) : [index.words[field], index[field]];
    const wanted = value === undefined ? -1 : names.findIndex((name) => String(name) === String(value));
    return { codes, names, wanted, active: value !== undefined, counts: new Uint32Array(names.length) };
  });
  const active = tests.filter((test) => test.active);
  const { phase, thought, said } = index;
  const passed = new Int32Array(index.count);
  let n = 0;
  let of = 0;
  for (let i = 0; i < index.count; i++) {
    if ((phase[i] === evaluation) === training) continue;
    of++;
    if (matches && !matches[i]) continue;
    if (view.mixed && !(thought[i] === unsafe && said[i] === safe)) continue;
    let failed = null;
    let failures = 0;
    for (const test of active) {
      if (test.codes[i] !== test.wanted) {
        failed = test;
        failures++;
      }
    }
    if (failures === 0) {
      passed[n++] = i;
      for (const test of tests) test.counts[test.codes[i]]++;
    } else if (failures === 1) failed.counts[failed.codes[i]]++;
  }
  const counts = tests.map(({ names, counts }) => names.map((name, code) => [name, counts[code]]).filter(([, m]) => m));
  return { passed: passed.subarray(0, n), counts, of };
}

// The temperatures there are, and each trace's number among them; made once for each version of an index.
function temperatures(index) {
  if (index.temperaturesOf !== index.version) {
    const numbers = new Map();
    const codes = new Uint32Array(index.count);
    for (let i = 0; i < index.count; i++) {
      const value = index.temperature[i];
      if (!numbers.has(value)) numbers.set(value, numbers.size);
      codes[i] = numbers.get(value);
    }
    index.temperaturesOf = index.version;
    index.temperatureCodes = [[...numbers.keys()], codes];
  }
  return index.temperatureCodes;
}

function ordered(index, passed, order) {
  const keys = {
    longest: (i) => -lengthOf(index, i),
    shortest: (i) => lengthOf(index, i),
    entropy: (i) => -index.entropy[i],
    "-entropy": (i) => index.entropy[i],
    reflections: (i) => -index.reflections[i],
  };
  return keys[order] ? sortedBy(passed, keys[order]) : passed;
}

// Sorted by a number; missing ones come last, equal ones stay in order.
function sortedBy(items, keyOf) {
  const keys = Float64Array.from(items, keyOf).map((key) => (Number.isNaN(key) ? Infinity : key));
  const places = Uint32Array.from(keys, (_, at) => at);
  places.sort((a, b) => keys[a] - keys[b] || a - b);
  return Array.from(places, (at) => items[at]);
}

// The samples of one prompt in one step, with the mean and the spread of their rewards.
function groupsOf(index, passed, order) {
  const groups = new Map();
  for (const i of passed) {
    const key = index.group[i] * index.words.run.length + index.run[i];
    const group = groups.get(key);
    if (group) group.members.push(i);
    else groups.set(key, { members: [i] });
  }
  const found = [...groups.values()];
  for (const group of found) {
    const rewards = group.members.map((i) => index.reward[i]).filter((reward) => !Number.isNaN(reward));
    const mean = rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length;
    const square = rewards.reduce((sum, reward) => sum + (reward - mean) ** 2, 0);
    group.mean = mean;
    group.spread = rewards.length ? Math.sqrt(square / rewards.length) : NaN;
    group.length = group.members.reduce((sum, i) => sum + lengthOf(index, i), 0) / group.members.length;
  }
  const keys = {
    spread: (group) => -group.spread,
    "-spread": (group) => group.spread,
    reward: (group) => -group.mean,
    "-reward": (group) => group.mean,
    longest: (group) => -group.length,
  };
  if (keys[order]) return sortedBy(found, keys[order]);
  return order === "oldest" ? found : found.reverse();
}

// Traces of other arms of the same prompt, set, temperature and sample; this one too, in the order of the arms.
class Siblings {
  constructor(index) {
    this.index = index;
    this.version = -1;
  }

  key(i) {
    const { index } = this;
    return [index.prompt[i], index.set[i], index.temperature[i], index.sample[i]].join(" ");
  }

  of(i) {
    if (this.version !== this.index.version) {
      this.version = this.index.version;
      this.found = new Map();
      for (let k = 0; k < this.index.count; k++) {
        if (this.index.word("phase", k) !== "evaluation") continue;
        const key = this.key(k);
        const list = this.found.get(key);
        if (list) list.push(k);
        else this.found.set(key, [k]);
      }
    }
    return this.found.get(this.key(i)) || [i];
  }

  // Other samples of the same prompt in the same arm.
  samplesOf(i) {
    const { index } = this;
    const found = [];
    for (let k = 0; k < index.count; k++)
      if (index.prompt[k] === index.prompt[i] && index.run[k] === index.run[i] && index.set[k] === index.set[i]
        && index.temperature[k] === index.temperature[i] && index.phase[k] === index.phase[i]) found.push(k);
    return found.sort((a, b) => index.sample[a] - index.sample[b]);
  }
}

class VirtualList {
  // Rows of one height; only those on the screen exist.
  constructor(element, rowHeight, draw, chosen) {
    Object.assign(this, { element, rowHeight, draw, chosen });
    this.items = [];
    this.current = -1;
    this.space = make("div", "v-space");
    this.rows = new Map();
    element.append(this.space);
    element.addEventListener("scroll", () => this.later(), { passive: true });
    new ResizeObserver(() => this.later()).observe(element);
  }

  show(items, current) {
    this.items = items;
    this.current = current;
    this.space.style.height = `${items.length * this.rowHeight}px`;
    for (const row of this.rows.values()) row.remove();
    this.rows.clear();
    this.fill();
  }

  later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.fill();
    });
  }

  fill() {
    const { element, rowHeight } = this;
    const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - 6);
    const last = Math.min(this.items.length, Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + 6);
    for (const [at, row] of this.rows) {
      if (at < first || at >= last) {
        row.remove();
        this.rows.delete(at);
      }
    }
    for (let at = first; at < last; at++) {
      if (this.rows.has(at)) continue;
      const row = this.draw(this.items[at]);
      row.id = `v-row-${at}`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-posinset", at + 1);
      row.setAttribute("aria-setsize", this.items.length);
      row.style.top = `${at * rowHeight}px`;
      row.addEventListener("click", () => this.chosen(at));
      this.rows.set(at, row);
      this.space.append(row);
    }
    this.mark();
  }

  mark() {
    for (const [at, row] of this.rows) row.setAttribute("aria-selected", at === this.current);
    if (this.rows.has(this.current)) this.element.setAttribute("aria-activedescendant", `v-row-${this.current}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  goTo(at) {
    this.current = at;
    const top = at * this.rowHeight;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.rowHeight > scrollTop + clientHeight) this.element.scrollTop = top + this.rowHeight - clientHeight;
    this.fill();
  }
}
