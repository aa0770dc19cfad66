// The round trips: the newest at the right, a bar each. null is one that did not come back.
const H = 120, left = 52, top = 8, bottom = 8;
export const shown = 40;

function element(name, attributes, parent) {
  const e = document.createElementNS('http://www.w3.org/2000/svg', name);
  Object.keys(attributes).forEach(k => e.setAttribute(k, attributes[k]));
  parent.appendChild(e);
  return e;
}

// scale is a round number not below the highest.
function scale(max) {
  for (let n = 1; ; n *= 10) {
    for (const m of [1, 2, 5]) if (n * m >= max) return n * m;
  }
}

export function draw(into, values, unit, label) {
  const came = values.filter(v => v !== null);
  const max = scale(Math.max(10, Math.max.apply(null, came.concat([0]))));
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const W = Math.max(160, into.clientWidth);
  svg.setAttribute('viewBox', '0 0 ' + W + ' ' + H);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  const high = H - top - bottom;
  [0, 0.5, 1].forEach(part => {
    const y = top + high * (1 - part);
    element('line', { class: 'grid', x1: left, x2: W, y1: y, y2: y }, svg);
    element('text', { x: 0, y: y + 4 }, svg).textContent = max * part + unit;
  });
  const step = (W - left) / shown;
  values.forEach((v, i) => {
    const h = v === null ? high : Math.max(2, high * v / max);
    const x = W - step * (values.length - i);
    element('rect', { class: v === null ? 'lost' : 'bar', x: (x + 1).toFixed(1), y: (top + high - h).toFixed(1), width: (step - 2).toFixed(1), height: h.toFixed(1) }, svg);
  });
  into.textContent = '';
  into.appendChild(svg);
}

// numbers sums the round trips up: last, median and worst in milliseconds, and how many were lost.
export function numbers(values) {
  const came = values.filter(v => v !== null);
  const sorted = came.slice().sort((a, b) => a - b);
  return { last: came[came.length - 1], middle: sorted[sorted.length >> 1], worst: sorted[sorted.length - 1], lost: values.length - came.length };
}
