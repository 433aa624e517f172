'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const report = data.report;
const element = id => document.getElementById(id);
const colour = name => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
const start = Date.parse(report.start) / 1000;
const end = data.points * data.grid;
const view = { from: 0, to: end, chosen: 0, at: null, drag: null };

function time(secs) {
  return new Date((start + secs) * 1000).toISOString().replace('T', ' ').slice(0, 19) + 'Z';
}

function cell(row, text, tag) {
  const made = document.createElement(tag || 'td');
  made.textContent = text;
  row.append(made);
}

// The value of a step curve, a list of [grid point, value], at a moment.
function stepAt(curve, secs) {
  let low = 0, high = curve.length - 1;
  const point = secs / data.grid;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (curve[middle][0] <= point) low = middle; else high = middle - 1;
  }
  return curve[low][1];
}

// The highest of a series with one value a bucket, between two moments.
function peak(series, from, to) {
  const last = series.length - 1;
  const a = Math.min(last, Math.floor(from / data.grid / data.bucket));
  const b = Math.min(last, Math.max(a, Math.ceil(to / data.grid / data.bucket) - 1));
  let highest = series[a];
  for (let n = a + 1; n <= b; n++) highest = Math.max(highest, series[n]);
  return highest;
}

// The lowest and highest of a step curve between two moments.
function span(curve, from, to) {
  let low = 0, high = curve.length - 1;
  const point = from / data.grid;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (curve[middle][0] <= point) low = middle; else high = middle - 1;
  }
  let least = curve[low][1], most = least;
  for (let n = low + 1; n < curve.length && curve[n][0] * data.grid < to; n++) {
    least = Math.min(least, curve[n][1]);
    most = Math.max(most, curve[n][1]);
  }
  return [least, most];
}

function nice(most) {
  const power = 10 ** Math.floor(Math.log10(most || 1));
  return [1, 2, 2.5, 5, 10].map(factor => factor * power).find(step => most / step <= 4) || most;
}

function chart(id, series) {
  const canvas = element(id);
  const width = canvas.clientWidth, height = canvas.clientHeight, ratio = window.devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  pen.font = '12px system-ui, sans-serif';
  const left = 48, right = 8, top = 8, bottom = 20;
  const across = width - left - right, down = height - top - bottom;
  const perPixel = (view.to - view.from) / across;
  const columns = series.map(one => {
    const values = [];
    for (let x = 0; x < across; x++) {
      values.push(one.range(view.from + x * perPixel, view.from + (x + 1) * perPixel));
    }
    return values;
  });
  const most = Math.max(1e-9, ...columns.map(values => Math.max(...values.map(value => value[1]))));
  const y = value => top + down * (1 - value / (most * 1.05));
  pen.textAlign = 'right';
  const step = nice(most);
  for (let value = 0; value <= most * 1.05; value += step) {
    pen.strokeStyle = colour('line');
    pen.beginPath();
    pen.moveTo(left, y(value));
    pen.lineTo(width - right, y(value));
    pen.stroke();
    pen.fillStyle = colour('soft');
    pen.fillText(String(+value.toPrecision(6)), left - 6, y(value) + 4);
  }
  const labels = Math.max(1, Math.floor(across / 160));
  for (let n = 0; n <= labels; n++) {
    pen.textAlign = n === 0 ? 'left' : n === labels ? 'right' : 'center';
    const secs = view.from + (view.to - view.from) * n / labels;
    const text = time(secs);
    const short = view.to - view.from > 3 * 86400 ? text.slice(5, 16) : text.slice(5, 19);
    pen.fillText(short, left + across * n / labels, height - 4);
  }
  series.forEach((one, index) => {
    pen.strokeStyle = pen.fillStyle = colour(one.colour);
    pen.lineWidth = one.fill ? 1 : 1.5;
    pen.beginPath();
    columns[index].forEach(([least, value], x) => {
      if (one.fill) {
        pen.rect(left + x, y(value), 1, y(0) - y(value));
      } else {
        pen.lineTo(left + x, y(value));
        if (least < value) pen.lineTo(left + x, y(least));
      }
    });
    if (one.fill) pen.fill(); else pen.stroke();
  });
  if (id === 'size') {
    pen.fillStyle = colour('mark');
    for (const note of data.notes[view.chosen]) {
      if (note.secs < view.from || note.secs > view.to || view.to - view.from > 2 * 86400) continue;
      const x = left + (note.secs - view.from) / perPixel, up = note.to > note.from;
      pen.beginPath();
      pen.moveTo(x - 4, top + (up ? 8 : 0));
      pen.lineTo(x + 4, top + (up ? 8 : 0));
      pen.lineTo(x, top + (up ? 0 : 8));
      pen.fill();
    }
  }
  if (view.drag) {
    const [a, b] = view.drag.map(secs => left + (secs - view.from) / perPixel);
    pen.fillStyle = colour('ready') + '33';
    pen.fillRect(Math.min(a, b), top, Math.abs(b - a), down);
  }
  if (view.at !== null) {
    pen.strokeStyle = colour('soft');
    pen.lineWidth = 1;
    pen.beginPath();
    const x = left + (view.at - view.from) / perPixel;
    pen.moveTo(x, top);
    pen.lineTo(x, top + down);
    pen.stroke();
  }
  canvas.secsAt = x => view.from + Math.min(1, Math.max(0, (x - left) / across)) * (view.to - view.from);
}

function draw() {
  const curves = data.curves[view.chosen];
  const demand = (from, to) => { const value = peak(data.demand, from, to); return [value, value]; };
  chart('size', [
    { colour: 'billed', fill: true, range: (from, to) => span(curves.billed, from, to) },
    { colour: 'demand', range: demand },
    { colour: 'ready', range: (from, to) => span(curves.ready, from, to) },
  ]);
  chart('shortage', [{ colour: 'short', fill: true, range: (from, to) => [0, peak(curves.missing, from, to)] }]);
  chart('load', [{ colour: 'load', range: (from, to) => { const value = peak(data.load, from, to); return [value, value]; } }]);
}

function say() {
  const said = element('said');
  said.textContent = '';
  if (view.at === null) { said.textContent = 'Point at the chart to read a moment.'; return; }
  const curves = data.curves[view.chosen], secs = view.at;
  const line = text => { const made = document.createElement('div'); made.textContent = text; said.append(made); };
  line(`${time(secs)}: load ${+peak(data.load, secs, secs).toPrecision(5)}, demand ${peak(data.demand, secs, secs)}, ` +
    `ready ${stepAt(curves.ready, secs)}, billed ${stepAt(curves.billed, secs)}`);
  const notes = data.notes[view.chosen].filter(note => note.secs <= secs);
  const last = notes[notes.length - 1];
  if (last) line(`last change, ${time(last.secs)}: ${last.why}`);
}

function choose(index) {
  view.chosen = index;
  [...element('policies').rows].forEach((row, n) => row.setAttribute('aria-selected', n === index));
  draw();
  say();
}

element('trace').textContent = report.trace;
element('setup').textContent = `${report.days.toFixed(1)} days from ${time(0)}. One instance carries ${report.capacity}; ` +
  `demand ${report.demand_mean.toFixed(1)} on average, ${report.demand_max} at most. Boot ${report.boot_secs} s, ` +
  `signal ${report.lag_secs} s old, a mean of ${report.window_secs} s.`;
for (const remark of report.remarks) {
  const made = document.createElement('p');
  made.textContent = 'Note: ' + remark;
  element('remarks').append(made);
}
['policy', 'J10', 'J100', 'cost', 'instance-hours', 'θ_U %', 'θ_O %', 'τ_U %', 'τ_O %', 'longest shortage', 'actions a day']
  .forEach(name => cell(element('columns'), name, 'th'));
report.policies.forEach((policy, index) => {
  const row = element('policies').insertRow();
  row.tabIndex = 0;
  [policy.name + (policy.reference ? ' (reference)' : ''), policy.j10.toFixed(3), policy.j100.toFixed(3), policy.cost.toFixed(3),
    policy.instance_hours.toFixed(0), policy.theta_u.toFixed(3), policy.theta_o.toFixed(1), policy.tau_u.toFixed(2),
    policy.tau_o.toFixed(1), policy.longest_shortage_secs + ' s', policy.actions_a_day.toFixed(1)].forEach(text => cell(row, text));
  row.addEventListener('click', () => choose(index));
  row.addEventListener('keydown', event => { if (event.key === 'Enter') choose(index); });
});
[['demand', 'demand'], ['ready', 'ready'], ['billed', 'billed (ready and booting)'], ['short', 'missing'],
  ['mark', 'a decision (shown when closer than two days)']].forEach(([name, text]) => {
  const made = document.createElement('span');
  made.textContent = text;
  made.style.setProperty('--colour', `var(--${name})`);
  element('legend').append(made);
});
for (const canvas of document.querySelectorAll('canvas')) {
  const secs = event => canvas.secsAt(event.offsetX);
  canvas.addEventListener('pointerdown', event => { view.drag = [secs(event), secs(event)]; });
  canvas.addEventListener('pointermove', event => {
    view.at = secs(event);
    if (view.drag) view.drag[1] = view.at;
    draw();
    say();
  });
  canvas.addEventListener('pointerleave', () => { view.at = null; view.drag = null; draw(); say(); });
  canvas.addEventListener('pointerup', () => {
    const [a, b] = view.drag || [0, 0];
    view.drag = null;
    if (Math.abs(a - b) > 20 * data.grid) [view.from, view.to] = [Math.min(a, b), Math.max(a, b)];
    draw();
  });
}
element('all').addEventListener('click', () => { view.from = 0; view.to = end; draw(); });
window.addEventListener('resize', draw);
window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
choose(0);
