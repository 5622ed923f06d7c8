"use strict";

// What a replica tells every second by /live (see live.py), shown.  Nothing here asks anything else.

const SAMPLES_MAX = 600;

// Each chart: its title, the fields it shows with a word for each, and how a value is written.
const CHARTS = [
  { title: "Commands a second", lines: [["received", "of clients here"], ["executed", "executed"]], text: count },
  { title: "Time to the reply", lines: [["p50_s", "half"], ["p99_s", "99 of 100"]], text: seconds },
  { title: "Decided in one round trip", lines: [["fast", "share"]], text: share },
  { title: "Synced writes of the disk", lines: [["disk_p99_s", "99 of 100"]], text: seconds },
  { title: "Written to disk, a second", lines: [["written_bytes", "bytes"]], text: bytes },
  { title: "Instances held", lines: [["instances_held", "held"]], text: count },
  { title: "Clients", lines: [["clients", "connected"]], text: count },
  { title: "Lateness of the event loop", lines: [["late_p99_s", "at most, about"]], text: seconds },
];

const byId = (id) => document.getElementById(id);
let fields = [];
let columns = [];
let charts = [];

function count(value) {
  if (value >= 1e6) return (value / 1e6).toFixed(1) + " M";
  return value >= 1e4 ? (value / 1e3).toFixed(1) + " k" : String(Math.round(value));
}

function seconds(value) {
  if (value >= 1) return value.toFixed(1) + " s";
  return (1000 * value).toFixed(value >= 0.01 ? 0 : value >= 0.001 ? 1 : 2) + " ms";
}

function share(value) {
  return (100 * value).toFixed(value > 0.99 && value < 1 ? 1 : 0) + " %";
}

function bytes(value) {
  if (value >= 1e9) return (value / 1e9).toFixed(1) + " GB";
  if (value >= 1e6) return (value / 1e6).toFixed(1) + " MB";
  return value >= 1e3 ? (value / 1e3).toFixed(1) + " kB" : Math.round(value) + " B";
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function makeCharts() {
  const colors = ["--first", "--second"].map(color);
  const box = byId("charts");
  charts.forEach((chart) => chart.plot.destroy());
  box.replaceChildren();
  charts = CHARTS.map((about) => {
    const values = about.lines.map((_, place) =>
      element("span", { className: "value " + (about.lines.length > 1 ? ["first", "second"][place] : "") }));
    const picture = element("div", { role: "img" });
    box.append(element("figure", {},
      element("figcaption", {}, element("h3", { textContent: about.title }), ...values), picture));
    const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
    const plot = new uPlot({
      width: Math.max(200, picture.clientWidth),
      height: 160,
      cursor: { show: false },
      legend: { show: false },
      scales: { x: { range: () => [Date.now() / 1000 - SAMPLES_MAX, Date.now() / 1000] }, y: { range: (_, low, high) => [0, high > 0 ? 1.1 * high : 1] } },
      axes: [axis, { ...axis, size: 64, values: (_, ticks) => ticks.map(about.text) }],
      series: [{}, ...about.lines.map((_, place) => ({ stroke: colors[place], width: 1.5, spanGaps: false, points: { show: false } }))],
    }, [[], ...about.lines.map(() => [])], picture);
    return { about, values, picture, plot };
  });
}

function drawCharts() {
  const times = columns[0].map((time) => time / 1000);
  for (const { about, values, picture, plot } of charts) {
    const shown = about.lines.map(([field]) => columns[fields.indexOf(field)]);
    plot.setData([times, ...shown]);
    const words = about.lines.map(([, word], place) => {
      const last = shown[place].at(-1);
      const text = last === null || last === undefined ? "–" : about.text(last);
      return about.lines.length > 1 || word !== "share" ? `${text} ${word}` : text;
    });
    words.forEach((text, place) => { values[place].textContent = text; });
    picture.setAttribute("aria-label", `${about.title}, the last ten minutes; now ${words.join(", ")}`);
  }
}

function showMembers(now) {
  const members = now.members;
  const [head, body] = [byId("members").tHead, byId("members").tBodies[0]];
  const columnsOfTable = ["member", "for clients", ...members.map((member) => `sees ${member.number}`)];
  head.replaceChildren(element("tr", {},
    ...columnsOfTable.map((text) => element("th", { scope: "col", textContent: text }))));
  body.replaceChildren(...members.map((member) => {
    const state = member.number === now.replica ? "here" : member.up ? "up" : "down";
    const cells = members.map((other) => {
      if (member.sees === null) return element("td", { textContent: "?", title: "it does not answer" });
      const sees = member.sees.includes(other.number);
      return element("td", { className: sees ? "good" : "bad", textContent: sees ? "yes" : "no" });
    });
    return element("tr", {},
      element("th", { scope: "row", className: member.up ? "good" : "bad", textContent: `${member.number}: ${state}` }),
      element("td", { textContent: member.client || "–" }), ...cells);
  }));
}

function showState(now) {
  const clock = now.clock.offset_s === null ? "not known" : seconds(Math.abs(now.clock.offset_s));
  const rows = [
    ["epoch", now.epoch.number],
    ["every member has opened it", now.epoch.settled ? "yes" : "no"],
    ["version of commands", now.epoch.version],
    ["instances executed in it", count(now.executed)],
    ["committed, and not executed", count(Math.max(0, now.committed - now.executed))],
    ["clock against the median", clock + (now.clock.trusted ? "" : " (not trusted)")],
  ];
  byId("state").replaceChildren(...rows.map(([name, value]) =>
    element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: String(value) }))));
  const behind = now.epoch.behind;
  byId("behind").hidden = behind === null;
  if (behind !== null) {
    const bar = byId("taken");
    bar.max = behind.bytes || 1;
    bar.value = behind.taken_bytes;
    byId("taken-text").textContent = `${bytes(behind.taken_bytes)} of ${bytes(behind.bytes)}`;
  }
}

function showHealth(now) {
  const down = now.members.filter((member) => !member.up).map((member) => member.number);
  let text = "all members are up";
  if (!now.running) text = "the replica starts or stops";
  else if (now.epoch.behind !== null) text = "the replica is behind, and serves no clients yet";
  else if (2 * down.length >= now.members.length) text = "no majority is up as seen from here";
  else if (down.length) text = `down as seen from here: ${down.join(", ")}`;
  say(text, text === "all members are up");
}

function say(text, isGood) {
  const health = byId("health");
  if (health.textContent !== text) health.textContent = text;  // a screen reader reads what is new
  health.className = isGood ? "good" : "bad";
}

function showWarnings(now) {
  const lines = now.warnings.length
    ? now.warnings.map(([time, level, text]) => {
      const moment = new Date(time);
      return element("li", {},
        element("time", { dateTime: moment.toISOString(), textContent: moment.toLocaleTimeString() }), `${level}: ${text}`);
    })
    : [element("li", { textContent: "none since the start" })];
  byId("warnings").replaceChildren(...lines);
}

function take(event) {
  const told = JSON.parse(event.data);
  if (told.fields) {
    fields = told.fields;
    columns = fields.map(() => []);
  }
  for (const sample of told.samples) sample.forEach((value, place) => columns[place].push(value));
  columns.forEach((column) => column.splice(0, column.length - SAMPLES_MAX));
  const now = told.now;
  document.title = `${now.cluster}: replica ${now.replica}`;
  byId("replica").textContent = now.replica;
  byId("cluster").textContent = now.cluster;
  showHealth(now);
  showMembers(now);
  showState(now);
  showWarnings(now);
  drawCharts();
}

makeCharts();
const events = new EventSource("live");
events.onmessage = take;
events.onerror = () => say("the replica does not answer; trying again", false);
addEventListener("resize", () => charts.forEach(({ plot, picture }) =>
  plot.setSize({ width: Math.max(200, picture.clientWidth), height: 160 })));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  makeCharts();
  if (columns.length) drawCharts();
});
