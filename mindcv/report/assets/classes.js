"use strict";
// What happens to each class: the confusion matrix of a few, and tables that can be searched and sorted.
const ROWS = 20;

function classTables(host, data) {
  const search = el("input", { type: "search", id: "class-search", autocomplete: "off", spellcheck: "false" });
  const parts = [];
  if (data.matrix) parts.push(titled("Confusion matrix", matrix(data), "Rows are the classes of the images, columns what was predicted."));
  const classTable = new Table(classColumns(data), classRows(data), { sort: "accuracy", key: "classes" });
  const pairTable = new Table(pairColumns(), pairRows(data), { sort: "images", falling: true, key: "pairs" });
  const find = () => {
    const wanted = search.value.trim().toLowerCase();
    for (const table of [classTable, pairTable]) table.filter(wanted);
  };
  search.addEventListener("input", find);
  const many = data.used > data.names.length ? ` Only the ${count(data.names.length)} of ${count(data.used)} classes with most mistakes are listed.` : "";
  parts.push(el("p", { class: "search" }, [el("label", { for: "class-search" }, "Find a class"), search]));
  parts.push(titled("Accuracy by class", classTable.node, `Worst first.${many}`));
  if (data.pairs.length) parts.push(titled("Most confused pairs", pairTable.node));
  host.append(...parts);
}

const titled = (title, node, note) => el("div", { class: "block" }, [el("h3", {}, title), note ? el("p", { class: "note" }, note) : "", node]);

function matrix(data) {
  const head = el("tr", {}, [el("td", { class: "corner" }), ...data.names.map((name, k) => el("th", { scope: "col", title: name }, el("span", {}, name)))]);
  const rows = data.matrix.map((row, k) => {
    const total = data.images[k];
    const cells = row.map((n, j) => {
      const level = total && n ? Math.max(1, Math.round((9 * n) / total)) : 0;
      const title = `${count(n)} of ${count(total)} images of ${data.names[k]} predicted as ${data.names[j]}`;
      return el("td", { class: `${k === j ? "right" : "wrong"} l${level}`, title }, n ? count(n) : "·");
    });
    return el("tr", {}, [el("th", { scope: "row", title: data.names[k] }, data.names[k]), ...cells]);
  });
  const table = el("table", { class: "matrix" }, [el("thead", {}, head), el("tbody", {}, rows)]);
  return el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Confusion matrix, scrollable" }, table);
}

const classColumns = (data) => [
  { key: "name", title: "class" },
  { key: "images", title: "images", number: true },
  { key: "accuracy", title: "accuracy", number: true, show: (v) => (v === null ? "–" : [percent(v), bar(v)]) },
  { key: "correct", title: "correct", number: true },
  { key: "predicted", title: "predicted", number: true },
  { key: "confused", title: "most often taken for", show: (v) => v || "–" },
];

function classRows(data) {
  const most = new Map();
  for (const [label, predicted, n] of data.pairs) if (!most.has(label)) most.set(label, `${data.names[predicted]} (${count(n)})`);
  return data.names.map((name, k) => ({
    name,
    images: data.images[k],
    correct: data.correct[k],
    predicted: data.predicted[k],
    accuracy: data.images[k] ? data.correct[k] / data.images[k] : null,
    confused: most.get(k) || "",
    text: name.toLowerCase(),
  }));
}

const pairColumns = () => [
  { key: "label", title: "class" },
  { key: "predicted", title: "predicted as" },
  { key: "images", title: "images", number: true },
  { key: "part", title: "of the class", number: true, show: (v) => percent(v) },
];

const pairRows = (data) => data.pairs.map(([label, predicted, n]) => ({
  label: data.names[label],
  predicted: data.names[predicted],
  images: n,
  part: n / data.images[label],
  text: `${data.names[label]}\n${data.names[predicted]}`.toLowerCase(),
}));

const bar = (value) => svg("svg", { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" }, [
  svg("rect", { class: "track", width: 100, height: 6 }),
  svg("rect", { class: "value", width: 100 * value, height: 6 }),
]);

// A table that is sorted by its headings; of many rows it shows the first, the rest on request.
class Table {
  constructor(columns, rows, { sort, falling = false, key }) {
    Object.assign(this, { columns, rows, sort, falling, wanted: "", limit: ROWS });
    this.body = el("tbody");
    this.heads = columns.map((c) => el("th", { scope: "col", class: c.number ? "number" : null }, el("button", { type: "button", onclick: () => this.order(c) }, c.title)));
    this.more = el("button", { type: "button", class: "more", onclick: () => { this.limit = Infinity; this.draw(); } });
    const table = el("table", { class: `data ${key}` }, [el("thead", {}, el("tr", {}, this.heads)), this.body]);
    this.node = el("div", {}, [el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": `Table of ${key}, scrollable` }, table), this.more]);
    this.draw();
  }

  order(column) {
    this.falling = this.sort === column.key ? !this.falling : Boolean(column.number && column.key !== "accuracy");
    this.sort = column.key;
    this.draw();
  }

  filter(wanted) {
    this.wanted = wanted;
    this.limit = ROWS;
    this.draw();
  }

  draw() {
    const sign = this.falling ? -1 : 1;
    const rank = (v) => (v === null ? Infinity * sign : v);
    const compare = (a, b) => {
      const [x, y] = [rank(a[this.sort]), rank(b[this.sort])];
      return x === y ? 0 : typeof x === "string" ? sign * x.localeCompare(y) : sign * (x - y);
    };
    const found = this.rows.filter((row) => row.text.includes(this.wanted)).sort(compare);
    this.body.replaceChildren(...found.slice(0, this.limit).map((row) => this.row(row)));
    if (!found.length) this.body.append(el("tr", {}, el("td", { colspan: this.columns.length, class: "none" }, "no match")));
    this.more.hidden = found.length <= this.limit;
    this.more.textContent = `Show all ${count(found.length)}`;
    this.heads.forEach((head, i) => {
      const state = this.columns[i].key !== this.sort ? "none" : this.falling ? "descending" : "ascending";
      head.setAttribute("aria-sort", state);
    });
  }

  row(row) {
    return el("tr", {}, this.columns.map((c) => {
      const value = row[c.key];
      return el("td", { class: c.number ? "number" : "name" }, c.show ? c.show(value) : c.number ? count(value) : value);
    }));
  }
}
