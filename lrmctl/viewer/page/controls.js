// The controls of the page: search, filters with how many traces each would show, switches, legend and help.

const ROW = 84; // pixels of a row of the list
const KEYS = [
  ["j, \u2193", "next trace"],
  ["k, \u2191", "previous trace"],
  ["Enter", "open it, and go to its text"],
  ["/", "search the texts"],
  ["s", "arms side by side"],
  ["e", "colour tokens by entropy"],
  ["b", "show or blur texts of harmful prompts"],
  ["f", "fill the window"],
  ["Esc", "go back"],
  ["?", "this help"],
];

class Controls {
  build() {
    const search = make("input", "v-search");
    Object.assign(search, { type: "search", placeholder: "Search texts, or thinking=unsafe and answer=safe  ( / )", spellcheck: false });
    search.setAttribute("aria-label", "Search the texts");
    search.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.change({ words: search.value }), 200);
    });
    this.search = search;
    this.tabs = make("div", "v-tabs");
    for (const [mode, label] of [["evaluation", "Evaluation"], ["training", "Training"]])
      this.tabs.append(button(label, "", () => this.change({ mode, order: "", filters: {} }, true), `v-tab ${mode}`));
    this.selects = new Map();
    const filters = make("div", "v-filters");
    for (const [field, label] of FILTERS) filters.append(this.select(field, label));
    this.mixed = this.toggle("unsafe thought, safe answer", "mixed");
    this.order = make("select");
    this.order.setAttribute("aria-label", "Order");
    this.order.addEventListener("change", () => this.change({ order: this.order.value }));
    filters.append(this.mixed, make("label", "v-order", "Order ", this.order));
    this.colours = make("select");
    this.colours.setAttribute("aria-label", "Colour of tokens");
    for (const [value, label] of [["", "no token colours"], ["entropy", "entropy of tokens"], ["kl", "KL to the base"]])
      this.colours.append(new Option(label, value));
    this.colours.addEventListener("change", () => this.change({ colour: this.colours.value }));
    const switches = make("div", "v-switches", (this.beside = this.toggle("side by side", "beside")), this.toggle("show harmful texts", "all"));
    switches.append(this.colours, button("Window", "Fill the window (f)", () => this.fillWindow(), "v-window"));
    switches.append(button("?", "Keys (?)", () => this.help.showModal(), "v-ask"));
    this.status = make("p", "v-status");
    this.status.setAttribute("role", "status");
    this.legend = this.makeLegend();
    const box = make("div", "v-list");
    box.tabIndex = 0;
    box.setAttribute("role", "listbox");
    box.setAttribute("aria-label", "Traces");
    this.list = new VirtualList(box, ROW, (item) => this.drawRow(item), (at) => this.open(at, true));
    this.pane = make("div", "v-pane");
    this.pane.tabIndex = -1;
    this.help = this.makeHelp();
    const top = make("div", "v-top", make("div", "v-first", this.tabs, search, switches), filters);
    const aside = make("div", "v-aside", this.status, box);
    const main = make("div", "v-main", this.legend, this.pane);
    const said = make("ul", "v-left-out", ...(this.head.left_out || []).map((words) => make("li", "", words)));
    this.root.append(said, top, make("div", "v-body", aside, main), this.printed(), this.help);
  }

  select(field, label) {
    const element = make("select");
    element.setAttribute("aria-label", label);
    element.dataset.field = field;
    element.addEventListener("change", () => {
      const filters = { ...this.view.filters };
      if (element.value === "") delete filters[field];
      else filters[field] = element.value;
      this.change({ filters });
    });
    this.selects.set(field, element);
    return element;
  }

  toggle(label, key) {
    const box = make("input");
    box.type = "checkbox";
    box.dataset.key = key;
    box.addEventListener("change", () => this.change({ [key]: box.checked }));
    return make("label", "v-toggle", box, label);
  }

  makeLegend() {
    const steps = [0, ...LEVELS].map((bound, level) => {
      const next = LEVELS[level];
      const words = next === undefined ? `${bound} and more` : `${bound}\u2013${next}`;
      return make("span", "v-key", make("i", `v-h${level}`), words);
    });
    this.pointed = make("output", "v-pointed");
    this.measure = make("b", "", "");
    const legend = make("div", "v-legend", this.measure, ...steps, this.pointed);
    legend.hidden = true;
    return legend;
  }

  makeHelp() {
    const table = make("table", "", ...KEYS.map(([key, what]) => make("tr", "", make("th", "", key), make("td", "", what))));
    const dialog = make("dialog", "v-help", make("h2", "", "Keys"), table);
    const marks = "A bar beside the thinking and a word say how a judged segment was judged; underlined words are hits of "
      + `the lexicon \u201c${this.head.lexicon || "none"}\u201d. The address of this page holds the filters and the open trace.`;
    const fields = `The search takes words, or a condition: ${Object.keys(QUERY_FIELDS).join(", ")}, each with = != < <= > >= or `
      + "~ (contains) and a value, joined by and, or, not. Words in quotes are looked for in all texts.";
    dialog.append(make("p", "", marks), make("p", "", fields), button("Close", "", () => dialog.close()));
    return dialog;
  }

  printed() {
    const name = decodeURIComponent(location.pathname.split("/").pop()) || document.title;
    return make("p", "v-printed", `The traces are in the interactive viewer of ${name}; open it in a browser to read them.`);
  }

  fillControls(counts) {
    const { view, index } = this;
    FILTERS.forEach(([field, label], f) => {
      const element = this.selects.get(field);
      const values = counts[f].filter(([name]) => name !== "" && !Number.isNaN(name));
      const chosen = view.filters[field];
      element.hidden = (values.length < 2 && chosen === undefined) || (field === "temperature" && view.mode === "training");
      const prefix = (name) => (String(name) === String(chosen) ? `${label}: ` : "");
      const options = values.map(([name, n]) => new Option(`${prefix(name)}${name} (${n.toLocaleString("en")})`, name));
      element.replaceChildren(new Option(`${label}: any`, ""), ...options);
      if (chosen !== undefined && !values.some(([name]) => String(name) === String(chosen)))
        element.append(new Option(`${label}: ${chosen} (0)`, chosen));
      element.value = chosen ?? "";
      element.classList.toggle("chosen", chosen !== undefined);
    });
    this.order.replaceChildren(...ORDERS[view.mode].map(([value, label]) => new Option(label, value)));
    this.order.value = view.order;
    const training = index.words.phase.some((phase) => phase !== "evaluation");
    const evaluation = index.words.phase.includes("evaluation");
    this.tabs.hidden = !(training && evaluation);
    for (const tab of this.tabs.children) tab.setAttribute("aria-pressed", tab.classList.contains(view.mode));
    this.mixed.hidden = this.beside.hidden = view.mode === "training";
    for (const box of this.root.querySelectorAll("input[data-key]")) box.checked = view[box.dataset.key];
    if (document.activeElement !== this.search) this.search.value = view.words;
    this.colours.value = view.colour;
  }
}
