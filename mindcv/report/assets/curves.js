"use strict";
// The four charts of a training run: which columns of history.csv each shows.
const exact = (value, precise) => (precise ? String(Number(value.toPrecision(5))) : short(value));
const share = (value, precise) => percent(value, precise ? 2 : Math.abs(value * 100 - Math.round(value * 100)) > 1e-6 ? 1 : 0);

const CHARTS = [
  { title: "Loss", format: exact, scales: ["linear", "log"], columns: { train_loss: "training", val_loss: "validation", ema_val_loss: "validation, EMA" } },
  { title: "Accuracy", format: share, range: [0, 1], columns: { top1: "top-1", top5: "top-5", ema_top1: "top-1, EMA", ema_top5: "top-5, EMA" } },
  { title: "Learning rate", format: exact, scales: ["linear", "log"], columns: { lr: "learning rate" } },
  { title: "Speed", format: exact, zero: true, columns: { images_per_second: "images per second" } },
];

// runs: [{name, columns}]. With one run a line is named by its column, otherwise by its run, too.
function curves(host, runs) {
  for (const { columns, ...options } of CHARTS) {
    const present = Object.keys(columns).filter((key) => runs.some((run) => (run.columns[key] || []).some(isNumber)));
    const series = runs.flatMap((run, i) =>
      present.filter((key) => (run.columns[key] || []).some(isNumber)).map((key) => {
        const own = columns[key];
        // Runs differ in colour; the line that decides is solid, the others of its run are dashed.
        const deciding = present.find((name) => !name.startsWith("train") && !name.endsWith("top5")) ?? present[0];
        const style = runs.length === 1 ? present.indexOf(key) : (i % 8) + (key === deciding ? 0 : 8);
        const name = runs.length === 1 ? own : present.length > 1 ? `${run.name}, ${own}` : run.name;
        return { name, x: run.columns.epoch, y: run.columns[key], style, bridged: true };
      }));
    if (series.length) host.append(new LineChart({ series, ...options }).node);
  }
}
