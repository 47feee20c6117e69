// The server sends a scene a second; this draws it. Nothing of a scene becomes
// markup: it is text and numbers.

const $ = (id) => document.getElementById(id);
const svgNamespace = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function draw(tag, attributes, ...children) {
  const element = document.createElementNS(svgNamespace, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// --- the fleet ---------------------------------------------------------------

async function press(kind, index, action, button) {
  button.disabled = true;
  $("trouble").textContent = "";
  try {
    const answer = await fetch("act", { method: "POST", body: new URLSearchParams({ kind, index, action }) });
    if (!answer.ok) $("trouble").textContent = await answer.text();
  } catch (error) {
    $("trouble").textContent = String(error);
  }
  button.dataset.busy = "";
}

// card keeps its buttons from scene to scene, so that none is replaced under a finger.
function card(list, kind, index, actions) {
  let item = list.children[index];
  if (!item) {
    const buttons = make("div", { class: "buttons" });
    for (const action of actions) {
      const button = make("button", { type: "button", "data-action": action }, action);
      button.onclick = () => press(kind, index, button.dataset.action, button);
      buttons.append(button);
    }
    item = make("li", {}, make("b"), make("span", { class: "state" }), make("span", { class: "facts" }), buttons);
    list.append(item);
  }
  const [name, state, facts, buttons] = item.children;
  return { name, state, facts, buttons: [...buttons.children] };
}

function allow(button, action, on, why) {
  button.dataset.action = action;
  button.textContent = action;
  button.disabled = !on;
  button.title = on ? "" : why;
}

function showNodes(scene) {
  scene.nodes.forEach((node, i) => {
    const { name, state, facts, buttons: [kill, freeze, restart] } = card($("nodes"), "node", i, ["kill", "freeze", "restart"]);
    name.textContent = node.addr;
    state.textContent = node.state;
    state.className = "state " + node.state;
    facts.textContent = `votes in ${node.votes} of ${node.of}` + (node.reason && node.state === "running" ? `: ${node.reason}` : "");
    const own = node.state !== "given";
    const why = own ? blocked(scene) : "yours: the demo does not touch servers that it did not start";
    const free = own && controls(scene);
    allow(kill, "kill", free && node.state !== "down", why);
    allow(freeze, node.state === "frozen" ? "thaw" : "freeze", free && node.state !== "down", why);
    allow(restart, "restart", free, why);
  });
}

function showProcesses(scene) {
  scene.processes.forEach((process, i) => {
    const { name, state, facts, buttons: [button] } = card($("processes"), "process", i, ["kill"]);
    name.textContent = process.framework;
    state.textContent = process.alive ? "alive" : "dead";
    state.className = "state " + state.textContent;
    const inside = process.inside;
    facts.replaceChildren(inside ? `holds ${inside.held}, ${inside.waiting} wait, ${percent(inside.caches)} hits ` : "");
    if (process.alive) facts.append(make("a", { href: process.debug, target: "_blank", rel: "noopener" }, "debug page"));
    allow(button, process.alive ? "kill" : "start", controls(scene), blocked(scene));
  });
}

const percent = (caches) => {
  const quotes = (caches ?? []).find((c) => c.name === "quotes");
  return quotes ? `${(100 * quotes.hit_ratio).toFixed(1)} %` : "";
};

const controls = (scene) => scene.stays && scene.loading;
const blocked = (scene) => (scene.stays ? "after the bursts" : "this demo ends with the bursts: make demo BROWSER=1 stays");

// --- the stampede ------------------------------------------------------------

const seconds = 60;
const box = { width: 560, height: 150, left: 58, right: 8, top: 8, bottom: 20 };

// roof is a round number not below n, so that the scale does not jump about.
function roof(n) {
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(n, 1)));
  return [1, 2, 5, 10].map((m) => m * magnitude).find((m) => m >= n);
}

const x = (i, length) => box.left + ((seconds - length + i) * (box.width - box.left - box.right)) / (seconds - 1);
const y = (value, top) => box.height - box.bottom - (value / top) * (box.height - box.top - box.bottom);
const points = (series, top) => series.map((v, i) => `${x(i, series.length).toFixed(1)},${y(v, top).toFixed(1)}`).join(" ");

function chart(top, unit, lines) {
  const svg = draw("svg", { viewBox: `0 0 ${box.width} ${box.height}`, role: "img" });
  for (const share of [0, 0.5, 1]) {
    const at = y(share * top, top);
    svg.append(draw("line", { class: "grid", x1: box.left, x2: box.width - box.right, y1: at, y2: at }));
    svg.append(draw("text", { x: box.left - 6, y: at + 4, "text-anchor": "end" }, `${+(share * top).toPrecision(3)}${unit}`));
  }
  for (const [text, anchor, at] of [["60 s ago", "start", box.left], ["now", "end", box.width - box.right]]) {
    svg.append(draw("text", { x: at, y: box.height - 5, "text-anchor": anchor }, text));
  }
  const ink = draw("g", { class: "ink" });
  for (const { series, shape } of lines) {
    if (series.length === 0) continue;
    const path = points(series, top);
    const base = y(0, top);
    if (shape === "area") {
      ink.append(draw("polygon", { class: "area", points: `${x(0, series.length)},${base} ${path} ${x(series.length - 1, series.length)},${base}` }));
    }
    ink.append(draw("polyline", { class: shape === "thin" ? "thin" : "line", points: path }));
  }
  svg.append(ink);
  return svg;
}

const counts = [
  ["quotes", "quotes made by a handler"],
  ["payments", "payments made"],
  ["overlaps", "payments that overlapped", "promise"],
  ["lost", "payments lost", "promise"],
  ["requests", "requests"],
  ["stored", "answered without a handler"],
  ["refused", "refused with 503"],
  ["unanswered", "without an answer"],
];

const sideNames = [["bare", "Without dlm"], ["dlm", "With dlm"]];

function sidePanel(kind, title) {
  const list = make("dl", { class: "counts" });
  for (const [name, text] of counts) list.append(make("div", { id: `${kind}-${name}` }, make("dt", {}, text), make("dd", {}, "0")));
  const legend = (text, ...marks) => make("figcaption", {}, text, ...marks.flatMap(([shape, name]) => [make("i", { class: `ink ${shape}` }), name]));
  return make("div", { class: `side ${kind}` },
    make("h3", {}, title), list,
    make("figure", {}, legend("Quotes made by a handler, each second"), make("div", { id: `${kind}-runs` })),
    make("figure", {}, legend("Time to an answer", ["line", "half of them"], ["thin", "99 of 100"]), make("div", { id: `${kind}-times` })));
}

function showSides(scene) {
  if (!$("sides").children.length) $("sides").append(...sideNames.map(([kind, title]) => sidePanel(kind, title)));
  // Both sides have one scale, or they could not be compared.
  const most = (name) => roof(Math.max(1, ...scene.sides.flatMap((side) => side[name] ?? [])));
  const runs = most("runs"), times = most("p99");
  scene.sides.forEach((side, i) => {
    const [kind] = sideNames[i];
    for (const [name, , promise] of counts) {
      const cell = $(`${kind}-${name}`);
      cell.lastChild.textContent = side[name];
      if (promise) cell.className = side[name] > 0 ? "bad" : "good";
    }
    $(`${kind}-runs`).replaceChildren(chart(runs, "", [{ series: side.runs ?? [], shape: "area" }]));
    $(`${kind}-times`).replaceChildren(chart(times, " ms", [{ series: side.p99 ?? [], shape: "thin" }, { series: side.p50 ?? [], shape: "line" }]));
  });
}

// --- the bursts --------------------------------------------------------------

function showActs(scene) {
  const table = $("burst").querySelector("table");
  table.tHead.replaceChildren(make("tr", {}, make("th"), make("th"), ...scene.columns.map((name) => make("th", {}, name)), make("th", {}, "promises")));
  table.tBodies[0].replaceChildren(...scene.acts.map((act) => {
    const row = make("tr", { class: act.dlm ? "dlm" : "bare" }, make("td", {}, act.title), make("td", {}, act.with));
    if (act.cells) {
      row.append(...act.cells.map((cell) => make("td", {}, cell)));
      const [text, mood] = !act.dlm ? ["none", ""] : act.kept ? ["kept", "good"] : ["broken", "bad"];
      row.append(make("td", { class: mood }, text));
    } else {
      const bar = make("progress", { max: 1, value: act.done });
      row.append(make("td", { colspan: scene.columns.length + 1 }, act.done > 0 ? bar : ""));
    }
    return row;
  }));
}

// --- the stream --------------------------------------------------------------

function say(state, text) {
  $("link").className = state;
  $("link").textContent = text;
}

let shown = 0;
const events = new EventSource("scenes");
events.onmessage = (event) => {
  const scene = JSON.parse(event.data);
  say("live", "live");
  $("note").textContent = controls(scene) ? "" : scene.stays ? "The stampede begins after the bursts." : "This demo ends with the bursts; make demo BROWSER=1 stays.";
  showNodes(scene);
  showProcesses(scene);
  showSides(scene);
  showActs(scene);
  document.body.dataset.shown = ++shown;
};
events.onerror = () => say("lost", "the demo has ended");
