"use strict";
// A chart of lines over a common x axis. Values are read by pointer, by touch, or with the arrow keys.
const MARGIN = { top: 10, right: 14, bottom: 38, left: 54 };
const HEIGHT = 238;

class LineChart {
  // series: [{name, x, y, style}], where style is a number from 0 to 15: colour and dashes.
  constructor({ title, series, format = short, scales = ["linear"], range = [-Infinity, Infinity], zero = false, xTitle = "epoch" }) {
    Object.assign(this, { title, series, format, scales, range, zero, xTitle });
    this.scale = scales[0];
    this.hidden = new Set();
    this.xs = [...new Set(series.flatMap((s) => s.x))].sort((a, b) => a - b);
    this.tip = el("div", { class: "tip", hidden: true, role: "status" });
    this.plot = svg("svg", {
      tabindex: 0,
      role: "img",
      "aria-label": `${title}: ${series.map((s) => this.summary(s)).join("; ")}. Arrow keys read the values.`,
      onpointermove: (event) => this.point(event),
      onpointerdown: (event) => this.point(event),
      onpointerleave: () => this.select(null),
      onblur: () => this.select(null),
      onkeydown: (event) => this.key(event),
    });
    this.node = el("figure", { class: "chart" }, [
      el("figcaption", {}, [el("h3", {}, title), this.scaleButtons()]),
      el("div", { class: "plot" }, [this.plot, this.tip]),
      this.legend(),
    ]);
    new ResizeObserver(() => this.draw()).observe(this.node);
  }

  summary(s) {
    const last = s.y.filter(isNumber).at(-1);
    return last === undefined ? `${s.name}, no values` : `${s.name}, last ${this.format(last)}`;
  }

  scaleButtons() {
    if (this.scales.length < 2) return "";
    const buttons = this.scales.map((name) =>
      el("button", { type: "button", "aria-pressed": name === this.scale, onclick: () => choose(name) }, name));
    const choose = (name) => {
      this.scale = name;
      buttons.forEach((b, i) => b.setAttribute("aria-pressed", this.scales[i] === name));
      this.draw();
    };
    buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(this.scales[i] === this.scale)));
    return el("span", { class: "switch", role: "group", "aria-label": `Scale of ${this.title}` }, buttons);
  }

  legend() {
    return el("ul", { class: "legend" }, this.series.map((s) => {
      const button = el("button", { type: "button", "aria-pressed": "true" }, [
        svg("svg", { width: 18, height: 8, "aria-hidden": "true" }, svg("path", { d: "M0 4H18", class: lineClass(s.style) })),
        el("span", {}, s.name),
      ]);
      button.addEventListener("click", () => {
        this.hidden.has(s) ? this.hidden.delete(s) : this.hidden.add(s);
        button.setAttribute("aria-pressed", String(!this.hidden.has(s)));
        this.draw();
      });
      return el("li", {}, button);
    }));
  }

  domain(values) {
    let shown = this.scale === "log" ? values.filter((v) => v > 0) : values;
    if (this.scale === "linear") {
      const [low, high] = wildLimits(shown);
      shown = shown.filter((v) => v >= low && v <= high);
    }
    let low = Math.min(...shown);
    let high = Math.max(...shown);
    if (!shown.length) [low, high] = [this.scale === "log" ? 0.1 : 0, 1];
    if (this.scale === "log") return low === high ? [low / 2, high * 2] : [low / 1.1, high * 1.1];
    if (this.zero) low = Math.min(low, 0);
    const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    return [this.zero && low === 0 ? 0 : Math.max(low - room, this.range[0]), Math.min(high + room, this.range[1])];
  }

  draw() {
    const width = this.plot.parentNode.clientWidth;
    if (!width || !this.xs.length) return;
    const visible = this.series.filter((s) => !this.hidden.has(s));
    const [low, high] = this.domain(visible.flatMap((s) => s.y.filter(isNumber)));
    const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
    const first = this.xs[0];
    const last = this.xs.at(-1);
    this.toX = (x) => MARGIN.left + (last === first ? 0.5 : (x - first) / (last - first)) * inner.width;
    const level = this.scale === "log" ? Math.log10 : (v) => v;
    const part = (v) => (level(v) - level(low)) / (level(high) - level(low));
    this.toY = (v) => MARGIN.top + inner.height * (1 - Math.min(Math.max(part(v), 0), 1));
    this.wild = (v) => v > high || v < low;
    this.marks = svg("g");
    this.plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.plot.setAttribute("height", HEIGHT);
    this.plot.replaceChildren(this.axes(low, high, first, last, inner), ...visible.map((s) => this.line(s)), this.marks);
    if (this.selected !== undefined && this.selected !== null) this.select(this.selected);
  }

  axes(low, high, first, last, inner) {
    const bottom = MARGIN.top + inner.height;
    const levels = this.scale === "log" ? logTicks(low, high) : ticks(low, high, 5);
    const rows = (levels.length ? levels : [low, high]).flatMap((v) => {
      const y = this.toY(v);
      return [
        svg("path", { class: "grid", d: `M${MARGIN.left} ${y}H${MARGIN.left + inner.width}` }),
        svg("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, this.format(v)),
      ];
    });
    const wanted = Math.max(2, Math.min(8, Math.floor(inner.width / 60)));
    const places = last === first ? [first] : ticks(first, last, wanted).filter(Number.isInteger);
    const columns = places.map((x) =>
      svg("text", { x: this.toX(x), y: bottom + 18, "text-anchor": "middle" }, count(x)));
    const unit = svg("text", { class: "unit", x: MARGIN.left + inner.width, y: bottom + 34, "text-anchor": "end" }, this.xTitle);
    return svg("g", { class: "axes" }, [...rows, svg("path", { class: "axis", d: `M${MARGIN.left} ${bottom}H${MARGIN.left + inner.width}` }), ...columns, unit]);
  }

  line(s) {
    const parts = [];
    const dots = [];
    let pen = "M";
    const finite = s.y.filter(isNumber).length;
    s.y.forEach((v, i) => {
      if (!isNumber(v) || (this.scale === "log" && v <= 0)) return void (pen = s.bridged ? pen : "M");
      const x = this.toX(s.x[i]);
      const y = this.toY(v);
      parts.push(`${pen}${x.toFixed(1)} ${y.toFixed(1)}`);
      pen = "L";
      if (this.wild(v)) dots.push(this.arrow(x, y, s));
      else if (finite <= 25) dots.push(svg("circle", { cx: x, cy: y, r: finite === 1 ? 3.5 : 2.2, class: `dot c${s.style % 8}` }));
    });
    return svg("g", {}, [svg("path", { d: parts.join(""), class: lineClass(s.style) }), ...dots]);
  }

  // An arrow at the edge for a value that is out of the range shown.
  arrow(x, y, s) {
    const down = y > HEIGHT / 2 ? -1 : 1;
    return svg("path", { class: `dot c${s.style % 8}`, d: `M${x - 5} ${y + 8 * down}L${x} ${y}L${x + 5} ${y + 8 * down}Z` });
  }

  point(event) {
    if (!this.toX) return;
    const x = event.clientX - this.plot.getBoundingClientRect().left;
    const gaps = this.xs.map((v) => Math.abs(this.toX(v) - x));
    this.select(gaps.indexOf(Math.min(...gaps)));
  }

  key(event) {
    const last = this.xs.length - 1;
    const at = this.selected ?? null;
    const moves = { ArrowRight: at === null ? 0 : Math.min(at + 1, last), ArrowLeft: at === null ? last : Math.max(at - 1, 0), Home: 0, End: last, Escape: null };
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.select(moves[event.key]);
  }

  select(index) {
    this.selected = index;
    this.tip.hidden = index === null;
    if (!this.marks) return;
    this.marks.replaceChildren();
    if (index === null) return;
    const x = this.xs[index];
    const found = this.series.filter((s) => !this.hidden.has(s)).map((s) => [s, s.y[s.x.indexOf(x)]]).filter(([, v]) => isNumber(v));
    const left = this.toX(x);
    this.marks.append(
      svg("path", { class: "cursor", d: `M${left} ${MARGIN.top}V${HEIGHT - MARGIN.bottom}` }),
      ...found.filter(([, v]) => this.scale !== "log" || v > 0).map(([s, v]) => svg("circle", { cx: left, cy: this.toY(v), r: 4, class: `dot c${s.style % 8}` })),
    );
    const rows = found.map(([s, v]) => el("div", {}, [el("i", { class: `key b${s.style % 8}` }), el("span", {}, s.name), el("b", {}, this.format(v, true))]));
    this.tip.replaceChildren(el("strong", {}, `${this.xTitle} ${count(x)}`), ...(rows.length ? rows : [el("div", {}, "no value")]));
    const room = this.plot.parentNode.clientWidth - this.tip.offsetWidth;
    const wanted = left > room / 2 + this.tip.offsetWidth / 2 ? left - this.tip.offsetWidth - 12 : left + 12;
    this.tip.style.left = `${Math.max(0, Math.min(wanted, room))}px`;
  }
}

const lineClass = (style) => `line c${style % 8}${style >= 8 ? " dashed" : ""}`;
