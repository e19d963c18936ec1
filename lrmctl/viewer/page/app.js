// The page: what is chosen, where it stands in the address, and what keys do.

const POLL = 2000; // milliseconds between two looks for new rows
class Viewer extends Controls {
  constructor(root, source) {
    super();
    this.root = root;
    this.store = new Store(source);
    this.index = new Index();
    this.siblings = new Siblings(this.index);
    this.revealed = new Set();
    this.view = { mode: "evaluation", filters: {}, mixed: false, words: "", order: "", beside: false, colour: "", all: false };
    this.pattern = null;
    this.opened = -1;
    this.wanted = "";
    this.drawing = 0;
    this.searching = 0;
  }

  async start() {
    const head = await this.store.source.head();
    this.head = head;
    this.root.replaceChildren();
    this.build();
    if (head.index) this.index.append(head.index);
    if (this.store.source.live) await this.poll(true);
    this.readAddress();
    window.addEventListener("hashchange", () => this.readAddress());
    document.addEventListener("keydown", (event) => this.key(event));
    this.root.dataset.ready = "yes";
  }

  // --- what is chosen ---

  change(what, reset = false) {
    const before = this.view;
    this.view = { ...before, ...what };
    if (reset) this.opened = -1;
    if (this.view.words !== before.words) this.runSearch();
    const only = ["beside", "colour", "all"];
    if (Object.keys(what).every((key) => only.includes(key))) this.redraw();
    else this.refresh();
    this.writeAddress();
  }

  async runSearch() {
    const turn = ++this.searching;
    const words = this.view.words;
    const query = queryOf(words);
    const marked = query ? query.words : words ? [words] : [];
    this.pattern = marked.some(Boolean) ? searchPattern(marked.filter(Boolean), "gi") : null;
    this.conditional = Boolean(query);
    this.matches = words ? new Uint8Array(this.index.count) : null;
    this.searched = 0;
    if (!words) return;
    const test = query ? (i, textOf) => query.test(this.index.reader(i), textOf) : wordsTest(words);
    const texts = !query || query.words.length > 0;
    let shown = performance.now();
    const progress = (done) => {
      this.searched = done;
      if (performance.now() - shown > 250 || done === this.index.count) {
        this.refresh(true);
        shown = performance.now();
      }
    };
    await this.store.search(test, texts, this.index.count, this.matches, 0, () => turn === this.searching, progress);
    if (turn === this.searching && this.searched === this.index.count) this.refresh(true);
  }

  refresh(keep = false) {
    const { view, index } = this;
    const { passed, counts, of } = select(index, view, this.matches);
    const training = view.mode === "training";
    this.passed = passed;
    this.range = null;
    this.items = training ? groupsOf(index, passed, view.order) : ordered(index, passed, view.order);
    const at = this.opened < 0 ? -1 : this.positionOf(this.opened);
    if (!keep) this.list.element.scrollTop = 0;
    this.list.show(this.items, at);
    if (!keep && at >= 0) this.list.goTo(at);
    this.fillControls(counts);
    const what = training ? "group" : "trace";
    const searching = this.matches && this.searched < index.count ? `, searching ${Math.round((100 * this.searched) / index.count)} %` : "";
    const rollouts = training ? ` \u00b7 ${count(passed.length, "rollout")}` : ` of ${of.toLocaleString("en")}`;
    const empty = index.count ? "" : this.store.source.live ? " Nothing has been written yet; this page waits." : "";
    const by = this.matches && this.conditional ? " \u00b7 by a condition" : "";
    this.status.textContent = `${count(this.items.length, what)}${rollouts}${by}${searching}${this.liveWords || ""}.${empty}`;
    if (this.opened < 0 && this.items.length && !this.narrow()) this.open(0, false);
    else if (!keep) this.redraw();
  }

  positionOf(i) {
    if (this.view.mode !== "training") return this.items.indexOf(i);
    return this.items.findIndex((group) => group.members.includes(i));
  }

  rewardRange() {
    if (!this.range) {
      let [low, high] = [Infinity, -Infinity];
      for (const i of this.passed) {
        const reward = this.index.reward[i];
        if (reward < low) low = reward;
        if (reward > high) high = reward;
      }
      this.range = [low, high];
    }
    return this.range;
  }

  drawRow(item) {
    return this.view.mode === "training" ? groupRow(this, item) : traceRow(this, item);
  }

  // --- an opened trace ---

  veils(i) {
    return this.index.word("kind", i) === "harmful" && !this.view.all && !this.revealed.has(this.index.prompt[i]);
  }

  reveal(i) {
    this.revealed.add(this.index.prompt[i]);
    this.redraw();
    this.pane.focus({ preventScroll: true });
  }

  open(at, byHand) {
    if (at < 0 || at >= this.items.length) return;
    const item = this.items[at];
    this.opened = this.view.mode === "training" ? item.members[0] : item;
    this.list.goTo(at);
    this.byHand = this.byHand || byHand;
    if (byHand) this.root.classList.add("has-open");
    this.drawOpened();
    if (byHand) this.writeAddress();
  }

  redraw() {
    this.list.show(this.items || [], this.list.current);
    for (const box of this.root.querySelectorAll("input[data-key]")) box.checked = this.view[box.dataset.key];
    this.colours.value = this.view.colour;
    this.drawOpened();
  }

  async drawOpened() {
    const turn = ++this.drawing;
    const i = this.opened;
    if (i < 0) {
      this.pane.replaceChildren(make("p", "v-absent", this.index.count ? "Nothing is open." : "There are no traces here yet."));
      return;
    }
    const training = this.view.mode === "training";
    const group = training ? this.items[this.positionOf(i)] || groupsOf(this.index, [i], "")[0] : null;
    const shown = training ? [...group.members] : this.view.beside ? this.siblings.of(i) : [i];
    if (training) shown.sort((a, b) => (this.index.reward[b] || 0) - (this.index.reward[a] || 0));
    let traces;
    try {
      traces = await Promise.all(shown.map((k) => this.store.trace(k)));
    } catch (error) {
      this.pane.replaceChildren(make("p", "v-error", `This trace cannot be read: ${error.message}`));
      return;
    }
    if (turn !== this.drawing) return;
    const tokens = traces.some((trace) => trace.tokens);
    this.legend.hidden = !(tokens && this.view.colour);
    this.colours.hidden = training;
    this.measure.textContent = this.view.colour === "kl" ? "KL to the base, nats" : "Entropy, nats";
    const cards = make("div", `v-cards${group ? " group" : shown.length > 1 ? " many" : ""}`);
    traces.forEach((trace, k) => {
      const element = card(this, shown[k], trace, group);
      cards.append(element);
    });
    const bar = make("div", "v-pane-bar", button("\u2190 List", "", () => this.close(), "v-back"));
    if (group) bar.append(make("span", "v-fact", `mean ${figure(group.mean, 3)}, spread ${figure(group.spread, 3)}, ${count(group.members.length, "sample")}`));
    else bar.append(...this.sampleLinks(i));
    if (this.view.colour && !tokens) bar.append(make("span", "v-fact", "no token of this trace was analysed"));
    if (this.veils(i)) bar.append(button("Show the texts of this harmful prompt", "", () => this.reveal(i), "v-reveal"));
    this.pane.replaceChildren(bar, promptHeader(this, i, traces[Math.max(0, shown.indexOf(i))]), cards);
    this.pane.scrollTop = 0;
    for (const element of cards.children) element.dataset.placed = "yes";
    this.pane.dataset.opened = this.index.nameOf(i);
  }

  sampleLinks(i) {
    const samples = this.siblings.samplesOf(i);
    if (samples.length < 2) return [];
    const links = samples.slice(0, 32).map((k) => {
      const link = button(String(this.index.sample[k] + 1), `sample ${this.index.sample[k] + 1}: ${this.index.word("result", k)}`, () => {
        this.opened = k;
        const at = this.positionOf(k);
        if (at >= 0) this.list.goTo(at);
        this.drawOpened();
        this.writeAddress();
      }, `v-sample ${TONES[this.index.word("result", k)] || "none"}`);
      if (k === i) link.setAttribute("aria-current", "true");
      return link;
    });
    return [make("span", "v-fact", "samples"), ...links];
  }

  close() {
    this.root.classList.remove("has-open");
    this.list.element.focus();
  }

  point(words) {
    this.pointed.textContent = words;
  }

  // --- the address ---

  readAddress() {
    const hash = location.hash;
    if (hash && !hash.startsWith("#traces")) return this.items ? undefined : this.refresh();
    const words = new URLSearchParams(hash.slice(hash.indexOf("?") + 1 || hash.length));
    const filters = {};
    for (const [field] of FILTERS) if (words.has(field)) filters[field] = words.get(field);
    const trainingOnly = this.index.count > 0 && !this.index.words.phase.includes("evaluation");
    const mode = words.get("show") === "training" || trainingOnly ? "training" : "evaluation";
    const given = { filters, mode, mixed: words.has("mixed"), beside: words.has("beside"), all: this.view.all };
    this.view = { ...given, words: words.get("q") || "", order: words.get("order") || "", colour: words.get("colour") || "" };
    this.wanted = words.get("trace") || "";
    this.opened = this.wanted ? this.index.find(this.wanted) : -1;
    if (this.opened >= 0) this.root.classList.add("has-open");
    if (hash.startsWith("#traces") && !this.root.classList.contains("filled")) this.root.scrollIntoView();
    this.runSearch();
    this.refresh();
  }

  writeAddress() {
    const { view } = this;
    const words = new URLSearchParams(view.filters);
    if (view.mode === "training") words.set("show", "training");
    for (const key of ["mixed", "beside"]) if (view[key]) words.set(key, "1");
    for (const [key, value] of [["q", view.words], ["order", view.order], ["colour", view.colour]]) if (value) words.set(key, value);
    if (this.opened >= 0) words.set("trace", this.index.nameOf(this.opened));
    history.replaceState(null, "", `#traces?${words}`);
  }

  // --- keys ---

  narrow() {
    return this.root.clientWidth < 760;
  }

  active() {
    const page = document.body.classList.contains("viewer-page") || this.root.classList.contains("filled");
    return page || this.root.contains(document.activeElement);
  }

  key(event) {
    if (!this.active() || event.ctrlKey || event.metaKey || event.altKey || this.help.open) return;
    const writing = event.target.matches?.("input:not([type=checkbox]), select, textarea");
    if (event.key === "Escape") return this.back(event);
    if (writing) {
      if (event.target !== this.search || !["Enter", "ArrowDown"].includes(event.key)) return;
      this.list.element.focus();
      return event.preventDefault();
    }
    const inText = this.pane.contains(document.activeElement);
    const move = (by) => this.open(Math.max(0, Math.min(this.items.length - 1, this.list.current + by)), !this.narrow() || inText);
    const does = {
      j: () => move(1), k: () => move(-1), "/": () => this.search.focus(), "?": () => this.help.showModal(),
      s: () => this.change({ beside: !this.view.beside }), b: () => this.change({ all: !this.view.all }),
      e: () => this.change({ colour: this.view.colour ? "" : "entropy" }), f: () => this.fillWindow(),
    };
    if (document.activeElement === this.list.element)
      Object.assign(does, {
        ArrowDown: does.j, ArrowUp: does.k, PageDown: () => move(8), PageUp: () => move(-8),
        Home: () => this.open(0, false), End: () => this.open(this.items.length - 1, false),
        Enter: () => { this.open(Math.max(0, this.list.current), true); this.pane.focus(); },
      });
    if (!does[event.key]) return;
    event.preventDefault();
    does[event.key]();
  }

  back() {
    if (document.activeElement === this.search && this.search.value) {
      this.search.value = "";
      this.change({ words: "" });
    } else if (this.root.classList.contains("has-open") && (this.narrow() || this.pane.contains(document.activeElement))) this.close();
    else if (this.root.classList.contains("filled")) this.fillWindow();
    else this.list.element.focus();
  }

  fillWindow() {
    const filled = this.root.classList.toggle("filled");
    document.documentElement.classList.toggle("v-filled", filled);
    this.list.element.focus();
    this.list.later();
  }

  // --- rows that come while the page is open ---

  async poll(first = false) {
    const { source } = this.store;
    let more = false;
    try {
      const state = await source.head();
      if (this.head.generation !== state.generation) {
        this.index = new Index();
        this.siblings = new Siblings(this.index);
        this.store.clear();
        this.wanted = this.wanted || this.pane.dataset.opened || "";
        this.opened = -1;
      }
      this.head = state;
      const before = this.index.count;
      const part = await source.part(before);
      this.index.append(part);
      more = part.more;
      this.liveWords = more ? ` \u00b7 reading on` : state.running ? " \u00b7 live" : "";
      this.root.classList.toggle("v-gone", false);
      if (!first && (part.count || this.loading)) this.grown(before);
      this.loading = more;
    } catch (error) {
      const gone = error instanceof TypeError; // what fetch raises where nobody answers
      this.liveWords = gone ? " \u00b7 the server does not answer" : ` \u00b7 ${plain(error.message)}`;
      this.root.classList.toggle("v-gone", true);
      if (this.items) this.refresh(true);
    }
    setTimeout(() => this.poll(), more ? 0 : POLL);
  }

  grown(before) {
    if (this.index.count && !this.index.words.phase.includes("evaluation")) this.view.mode = "training";
    if (this.opened < 0 && this.wanted) this.opened = this.index.find(this.wanted);
    if (this.loading && !this.byHand && !this.wanted) this.opened = -1; // the first of the list so far
    if (this.matches) {
      const larger = new Uint8Array(this.index.count);
      larger.set(this.matches.subarray(0, Math.min(before, this.matches.length)));
      this.runSearch();
    }
    this.refresh(true);
  }
}

(async () => {
  const root = document.getElementById("viewer");
  if (!root) return;
  const live = root.dataset.live === "1";
  if (!live && !document.getElementById("lrmctl-index")) return;
  const page = document.documentElement.classList;
  const fail = (words) => {
    page.remove("has-viewer");
    root.classList.add("failed");
    root.replaceChildren(make("p", "v-error", words));
  };
  if (typeof DecompressionStream === "undefined") {
    fail("This browser has no DecompressionStream, which unpacks the traces: take Chrome 80, Firefox 113, Safari 16.4 or a newer one.");
    return;
  }
  try {
    page.add("has-viewer");
    await new Viewer(root, live ? new LiveSource() : new EmbeddedSource()).start();
  } catch (error) {
    fail(`The traces cannot be shown: ${error.message}`);
    throw error;
  }
})();
