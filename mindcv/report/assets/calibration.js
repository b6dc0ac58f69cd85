"use strict";
// The reliability diagram: accuracy against confidence in bins, and how many images each bin has.
function reliability(host, data) {
  const { counts, accuracies, confidences } = data.bins;
  const size = 300;
  const left = 46;
  const bottom = 36;
  const inner = size - 12;
  const total = counts.reduce((a, b) => a + b, 0);
  const step = inner / counts.length;
  const y = (v) => 8 + inner * (1 - v);
  const bars = counts.flatMap((n, b) => {
    if (!n) return [];
    const title = svg("title", {}, describe(b, counts, accuracies, confidences));
    const x = left + b * step;
    const top = y(Math.max(accuracies[b], confidences[b]));
    const both = Math.min(accuracies[b], confidences[b]);
    const gap = Math.abs(accuracies[b] - confidences[b]) * inner;
    return [svg("g", {}, [
      svg("rect", { class: "reached", x: x + 1, width: step - 2, y: y(both), height: both * inner }),
      svg("rect", { class: confidences[b] > accuracies[b] ? "over" : "under", x: x + 1, width: step - 2, y: top, height: gap }),
      title,
    ])];
  });
  const axis = [0, 0.25, 0.5, 0.75, 1].flatMap((v) => [
    svg("path", { class: "grid", d: `M${left} ${y(v)}h${inner}` }),
    svg("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, percent(v, 0)),
    svg("text", { x: left + v * inner, y: y(0) + 18, "text-anchor": "middle" }, percent(v, 0)),
  ]);
  const diagram = svg("svg", { viewBox: `0 0 ${left + inner + 22} ${y(0) + bottom}`, role: "img", class: "square", "aria-label": `Reliability diagram, expected calibration error ${percent(data.ece, 2)}` }, [
    svg("g", { class: "axes" }, axis),
    ...bars,
    svg("path", { class: "diagonal", d: `M${left} ${y(0)}L${left + inner} ${y(1)}` }),
    svg("text", { class: "unit", x: left + inner, y: y(0) + 33, "text-anchor": "end" }, "confidence"),
  ]);
  const rows = counts.map((n, b) => el("tr", {}, [
    el("th", { scope: "row" }, `${percent(b / counts.length, 0)} to ${percent((b + 1) / counts.length, 0)}`),
    el("td", { class: "number" }, count(n)),
    el("td", { class: "number" }, n ? percent(accuracies[b]) : "–"),
    el("td", { class: "number" }, n ? percent(confidences[b]) : "–"),
  ]));
  const table = el("table", { class: "data" }, [
    el("thead", {}, el("tr", {}, ["confidence", "images", "accuracy", "mean confidence"].map((t, i) => el("th", { scope: "col", class: i ? "number" : null }, t)))),
    el("tbody", {}, rows),
  ]);
  const over = counts.reduce((sum, n, b) => sum + (n * (confidences[b] - accuracies[b])) / total, 0);
  const tendency = Math.abs(over) < 0.005 ? "neither too high nor too low" : over > 0 ? "too high" : "too low";
  host.append(
    el("figure", { class: "chart" }, [
      el("figcaption", {}, el("h3", {}, "Accuracy by confidence")),
      diagram,
      el("p", { class: "note" }, "The pale part is the gap between the two: red where the network is too sure, blue where it is not sure enough."),
    ]),
    el("div", { class: "chart" }, [
      el("h3", {}, `Expected calibration error ${percent(data.ece, 2)}`),
      el("p", {}, `On average the probabilities differ from the accuracy by this much. In all, they are ${tendency}: mean confidence less accuracy is ${percent(over, 2)}.`),
      el("details", {}, [el("summary", {}, "Values of the bins"), el("div", { class: "wide" }, table)]),
    ]),
  );
}

function describe(b, counts, accuracies, confidences) {
  return `${count(counts[b])} images, confidence ${percent(confidences[b])}, accuracy ${percent(accuracies[b])}`;
}
