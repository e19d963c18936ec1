// An opened trace: its prompt, and one card for each trace beside it, be they arms or samples of one group.

const TONES = { safe: "good", correct: "good", unsafe: "bad", incorrect: "bad", malformed: "odd" };
const KINDS = { harmful: "Harmful", benign: "Benign", reasoning: "Reasoning" };
const STATES = { unclosed: "thought not closed", absent: "no thought opened", off: "does not think" };

const badge = (word, tone) => make("span", `v-badge ${tone || TONES[word] || "none"}`, word);

const count = (number, one, many) => `${Math.round(number).toLocaleString("en")} ${number === 1 ? one : many || `${one}s`}`;

const figure = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits).replace("-", "\u2212") : "\u2013");

const signed = (value, digits = 2) => (value > 0 ? "+" : "") + figure(value, digits);

function sizeOf(index, i) {
  const [thinking, answer] = [index.thinking_tokens[i], index.answer_tokens[i]];
  if (Number.isNaN(thinking) && Number.isNaN(answer)) return count(index.characters[i], "character");
  const words = [thinking, answer].map((n) => (Number.isNaN(n) ? "?" : n.toLocaleString("en")));
  return `${words.join(" + ")} tokens`;
}

function button(label, title, onClick, className = "") {
  const element = make("button", className, label);
  element.type = "button";
  if (title) element.title = title;
  element.addEventListener("click", onClick);
  return element;
}

// A row of the list: a trace of an evaluation.
function traceRow(app, i) {
  const { index } = app;
  const top = make("div", "v-line");
  const [thought, said] = [index.word("thought", i), index.word("said", i)];
  if (thought && said && thought !== said) {
    if (thought !== "nothing") top.append(badge(`thinking ${thought}`, TONES[thought]));
    top.append(badge(`answer ${said}`, TONES[said]));
  } else top.append(badge(index.word("result", i)));
  if (index.refused[i] === 1) top.append(badge("refused", "plain"));
  if (index.word("finish", i) === "length") top.append(badge("cut", "odd"));
  const size = make("span", "v-size", Number.isNaN(index.thinking_tokens[i]) ? "" : `${index.thinking_tokens[i]} tok`);
  if (!Number.isNaN(index.entropy[i])) size.append(` \u00b7 ${figure(index.entropy[i])} nats`);
  top.append(size);
  const foot = make("div", "v-foot", armName(app, index.run[i]), ` \u00b7 `);
  foot.append(`T ${index.temperature[i]} \u00b7 sample ${index.sample[i] + 1} \u00b7 `);
  foot.append(index.word("prompt", i));
  return row(app, i, top, foot);
}

// A row of the list: the samples of one prompt in one step.
function groupRow(app, group) {
  const { index } = app;
  const i = group.members[0];
  const top = make("div", "v-line");
  if (!Number.isNaN(index.step[i])) top.append(make("span", "v-step", `step ${index.step[i]}`));
  const facts = make("span", "v-reward", figure(group.mean), make("small", "", ` sd ${figure(group.spread)}`));
  facts.title = "mean and standard deviation of the rewards in this group";
  top.append(facts, rewardStrip(app, group.members));
  const failed = group.members.filter((k) => index.word("result", k) === "failed").length;
  if (failed) top.append(badge(`${failed} failed`, "odd"));
  const foot = make("div", "v-foot", armName(app, index.run[i]), ` \u00b7 ${index.word("kind", i)} \u00b7 `);
  foot.append(`${count(group.members.length, "sample")} \u00b7 ${index.word("prompt", i)}`);
  return row(app, i, top, foot);
}

function row(app, i, top, foot) {
  const { index } = app;
  const snippet = make("div", "v-snippet");
  addPlain(snippet, index.snippets[index.prompt[i]].replace(/\s+/g, " "), 0);
  if (app.veils(i)) snippet.classList.add("veiled");
  return make("div", "v-row", top, snippet, foot);
}

// One mark a sample, from the lowest reward of all to the highest.
function rewardStrip(app, members) {
  const { index } = app;
  const [low, high] = app.rewardRange();
  const strip = make("span", "v-strip");
  strip.setAttribute("aria-hidden", "true");
  for (const i of members) {
    if (Number.isNaN(index.reward[i])) continue;
    const mark = make("i");
    mark.style.left = `${high > low ? (96 * (index.reward[i] - low)) / (high - low) : 48}%`;
    strip.append(mark);
  }
  return strip;
}

function armName(app, run) {
  return make("span", "v-arm", make("i", `v-dot s${run % 8}`), app.index.words.run[run]);
}

function promptHeader(app, i, trace) {
  const { index } = app;
  const header = make("header", "v-prompt");
  const facts = [KINDS[index.word("kind", i)] || index.word("kind", i), index.word("set", i), index.word("prompt", i)];
  if (!Number.isNaN(index.temperature[i])) facts.push(`T = ${index.temperature[i]}`);
  if (!Number.isNaN(index.step[i])) facts.push(`step ${index.step[i]}`);
  if (trace.reference !== null && trace.reference !== undefined) facts.push(`reference ${trace.reference}`);
  const eyebrow = make("p", "v-eyebrow");
  addPlain(eyebrow, facts.filter(Boolean).join(" \u00b7 "), 0);
  const words = make("div", "v-question");
  const messages = typeof trace.prompt === "string" ? [["", trace.prompt]] : trace.prompt;
  for (const [role, content] of messages) {
    const message = make("div", "v-message");
    if (role) message.append(make("span", "v-role", role));
    const body = make("div");
    drawText(body, content, { pattern: app.pattern }, () => true);
    message.append(body);
    words.append(message);
  }
  header.append(eyebrow, veil(app, i, words));
  return header;
}

// A text of a harmful prompt: blurred, and out of reach of screen readers, until it is clicked, or the button above is.
function veil(app, i, content) {
  if (!app.veils(i)) return content;
  const inner = make("div", "v-veiled", content);
  inner.inert = true;
  const cover = make("div", "v-veil", inner);
  cover.title = "Text of a harmful prompt: click to read";
  cover.addEventListener("click", () => app.reveal(i));
  return cover;
}

function card(app, i, trace, group) {
  const { index } = app;
  const element = make("section", "v-card");
  element.dataset.trace = i;
  const title = group ? `Sample ${index.sample[i] + 1}` : index.word("run", i);
  element.setAttribute("aria-label", title);
  const head = make("header", "v-card-head", make("h3", "", ...(group ? [title] : [armName(app, index.run[i])])));
  if (!group) head.append(badge(index.word("result", i)));
  head.append(make("span", "v-size", sizeOf(index, i)));
  element.append(head);
  if (group) element.append(rewards(index, i, trace, group));
  if (trace.error) element.append(make("p", "v-error", trace.error));
  const wanted = () => element.isConnected || !element.dataset.placed;
  const parts = make("div", "v-parts");
  parts.append(partHead("Thinking", thinkingBadges(index, i, trace)));
  const thinking = make("div", "v-text thinking");
  drawText(thinking, trace.thinking, { ...trace, channel: app.view.colour, pattern: app.pattern }, wanted);
  if (!trace.thinking) thinking.append(make("p", "v-absent", "There is no thinking."));
  thinking.addEventListener("mousemove", (event) => app.point(tokenAt(event, trace.thinking, trace.tokens, app.view.colour)));
  thinking.addEventListener("mouseleave", () => app.point(""));
  parts.append(veil(app, i, thinking), partHead("Answer", answerBadges(index, i, trace)));
  const answer = make("div", "v-text");
  drawText(answer, trace.answer, { pattern: app.pattern }, wanted);
  if (!trace.answer) answer.append(make("p", "v-absent", "There is no answer."));
  parts.append(veil(app, i, answer), notes(app, i, trace));
  element.append(parts);
  return element;
}

function partHead(name, badges) {
  return make("p", "v-part", make("b", "", name), ...badges);
}

function thinkingBadges(index, i, trace) {
  const found = [];
  const word = index.word("thought", i);
  if (word && word !== "nothing") found.push(badge(word));
  const state = index.word("state", i);
  if (STATES[state]) found.push(badge(STATES[state], state === "off" ? "plain" : "odd"));
  for (const fault of trace.faults) found.push(badge(`${fault} tags`, "odd"));
  if (trace.hits.length) found.push(make("span", "v-fact", count(trace.hits.length / 2, "reflection")));
  if (!Number.isNaN(index.entropy[i])) found.push(make("span", "v-fact", `${figure(index.entropy[i])} nats a token`));
  return found;
}

function answerBadges(index, i, trace) {
  const found = [];
  const word = index.word("said", i);
  if (word) found.push(badge(word));
  if (["correct", "incorrect"].includes(index.word("result", i))) found.push(badge(index.word("result", i)));
  if (index.refused[i] === 1) found.push(badge("refused", "plain"));
  if (index.word("finish", i) === "length") found.push(badge("cut at the limit", "odd"));
  if (index.word("finish", i) === "error") found.push(badge("engine error", "odd"));
  if (trace.extracted) found.push(make("span", "v-fact", `read as ${trace.extracted}`));
  return found;
}

// What each judge said, in its own words.
function notes(app, i, trace) {
  const details = make("details", "v-notes");
  const judges = [...new Set(trace.verdicts.map((verdict) => verdict.judge))];
  details.append(make("summary", "", judges.length ? `Verdicts of ${judges.join(", ")}` : "More"));
  for (const verdict of trace.verdicts) {
    const line = make("p", "v-verdict", make("b", "", verdict.part), badge(verdict.word));
    if (verdict.refused) line.append(badge("refused", "plain"));
    const facts = [`${verdict.judge} ${verdict.version}`.trim(), ...verdict.labels];
    if (verdict.p_unsafe !== null) facts.push(`p(unsafe) ${figure(verdict.p_unsafe, 3)}`);
    line.append(make("span", "v-fact", facts.join(" \u00b7 ")));
    details.append(line);
    for (const words of [verdict.error, verdict.raw]) {
      if (!words) continue;
      const raw = make("pre", "v-raw");
      addPlain(raw, words, 0);
      details.append(veil(app, i, raw));
    }
  }
  for (const [name, value] of Object.entries(trace.scores || {})) details.append(make("p", "v-fact", `${name} ${value}`));
  if (trace.line) details.append(make("p", "v-fact", `line ${trace.line} of rollouts.jsonl, attempt ${trace.attempt}`));
  if (trace.segments.length) details.append(make("p", "v-fact", count(trace.segments.length, "judged segment")));
  return details.children.length > 1 ? details : "";
}

// A rollout's reward, how far it is from its group, and what each component added.
function rewards(index, i, trace, group) {
  const box = make("div", "v-rewards");
  const reward = index.reward[i];
  const line = make("p", "v-total", "reward ", make("b", "", figure(reward, 3)));
  const sd = group.spread > 0 ? `, ${signed((reward - group.mean) / group.spread, 2)} sd` : "";
  line.append(make("span", "v-fact", `${signed(reward - group.mean, 3)} to the group\u2019s mean${sd}`));
  if (trace.total !== null && trace.total !== undefined && trace.total !== reward)
    line.append(make("span", "v-fact", `${figure(trace.total, 3)} before it was normalised`));
  box.append(line);
  if (!trace.components?.length) return box;
  const largest = Math.max(...trace.components.map(([, value, weighted]) => Math.abs(weighted ?? value ?? 0)), 1e-9);
  const table = make("table", "v-components");
  for (const [name, value, weighted, error] of trace.components) {
    const bar = make("span", "v-bar-of");
    const fill = make("i", (weighted ?? value ?? 0) < 0 ? "bad" : "good");
    fill.style.width = `${(100 * Math.abs(weighted ?? value ?? 0)) / largest}%`;
    bar.append(fill);
    const cell = error ? make("td", "v-error", error) : make("td", "number", value === null ? "does not apply" : figure(value, 3));
    const head = make("th", "", name);
    head.scope = "row";
    table.append(make("tr", "", head, cell, make("td", "number", weighted === null ? "" : signed(weighted, 3)), make("td", "", bar)));
  }
  const caption = make("caption", "v-vh", "component, value, what it added");
  table.prepend(caption);
  box.append(table);
  return box;
}
