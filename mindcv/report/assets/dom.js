"use strict";
// Elements and numbers. Texts become text nodes only, never markup.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...[children === undefined ? [] : children].flat().map((c) => (c instanceof Node ? c : String(c))));
  return node;
}
const el = (tag, attributes, children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, children) => fill(document.createElementNS(SVG, tag), attributes, children);
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const count = (value) => value.toLocaleString("en");
const percent = (value, digits = 1) => `${(100 * value).toFixed(digits)}%`.replace("-", "−");

function short(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1).replace("e+", "e");
  return String(Number(value.toPrecision(size >= 1000 ? 4 : 3)));
}

// Round values that divide a range into about `wanted` parts.
function ticks(low, high, wanted) {
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function logTicks(low, high) {
  const from = Math.floor(Math.log10(low));
  const to = Math.ceil(Math.log10(high));
  const every = Math.ceil((to - from) / 6) || 1;
  const factors = to - from <= 2 ? [1, 2, 5] : [1];
  const found = [];
  for (let p = from; p <= to; p += every) for (const f of factors) found.push(f * 10 ** p);
  return found.filter((v) => v >= low * 0.999 && v <= high * 1.001);
}

// The values above which a number is wild: far outside of what the others have.
function wildLimits(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (q) => sorted[Math.round(q * (sorted.length - 1))];
  const spread = Math.max(at(0.75) - at(0.25), Math.abs(at(0.5)) * 0.05, 1e-12);
  return [at(0.25) - 20 * spread, at(0.75) + 20 * spread];
}
