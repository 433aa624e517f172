// The charts of one fleet: signals and sizes over one axis of time, with decisions as marks.
import uPlot from 'uplot';
import { number, onAxis, when } from './dom.js';
import { t } from './words.js';

const MARK = { out: '▲', in: '▼', blocked: '■' };
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function axes(width, whole) {
  const stroke = color('--quiet'), grid = { stroke: color('--line'), width: 1 }, ticks = { stroke: color('--line'), width: 1 };
  const font = '12px system-ui, sans-serif';
  return [
    {
      stroke, grid, ticks, font, space: width < 600 ? 64 : 90,
      values: (plot, splits) => splits.map((at) => onAxis(at, plot.scales.x.max - plot.scales.x.min)),
    },
    { stroke, grid, ticks, font, size: 56, incrs: whole ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000] : undefined, values: (_, values) => values.map((value) => number(value)) },
  ];
}

/** Of the last `secs`, how many are shown: none from before the first record, but two minutes at least. */
export const shownSecs = (series, secs) => Math.min(secs, Math.max(120, Date.now() / 1000 - series.at[0]));

/** Draws the last `secs` into `box`; `chosen` is told of the decision nearest to a click. */
export function charts(box, series, secs, chosen) {
  box.replaceChildren();
  const width = Math.max(280, box.clientWidth);
  const sync = { key: `fleet-${series.fleet}` };
  const cursor = { sync, drag: { x: true, y: false }, points: { size: 6 } };
  const made = [];
  const to = Date.now() / 1000;
  const [first, end] = [series.at[0], series.at.at(-1)];
  const from = to - shownSecs(series, secs);
  // All of the time that was asked for, unless a part of it is chosen.
  const x = { time: true, range: (_, low, high) => (low === null || high - low >= secs || low <= first && high >= end ? [from, to] : [low, high]) };
  const time = { value: (_, at) => (at === null ? '–' : when(at * 1000)) };
  const add = (options, data, label) => {
    const holder = document.createElement('div');
    holder.className = 'pane';
    holder.setAttribute('role', 'img');
    holder.setAttribute('aria-label', label);
    box.append(holder);
    made.push(new uPlot({ width, legend: { live: true }, cursor, axes: axes(width, options.whole), ...options }, data, holder));
  };
  const colors = ['--accent', '--second', '--third'];
  for (const [n, signal] of series.signals.entries()) {
    const stroke = color(colors[n % colors.length]);
    add({
      height: 150,
      series: [{ label: t('at'), ...time }, { label: signal.signal, stroke, width: 1.5, value: (_, value) => number(value), spanGaps: false }],
      scales: { x, y: { range: (_, low, high) => range(low, high, signal.bounds) } },
      hooks: { draw: [(plot) => bounds(plot, signal.bounds)] },
    }, [series.at, signal.values], `${signal.signal}: ${number(last(signal.values))}`);
  }
  const stepped = uPlot.paths.stepped({ align: 1 });
  const of = (label, name, more) => ({ label, stroke: color(name), paths: stepped, points: { show: false }, ...more });
  add({
    height: 190,
    whole: true,
    series: [{ label: t('at'), ...time }, of(t('serving'), '--green', { fill: color('--green-fill'), width: 1.5 }),
      of(t('current'), '--amber', { width: 1, dash: [3, 3] }), of(t('desired'), '--text', { width: 1.5 })],
    scales: { x, y: { range: (_, low, high) => [0, Math.max(1, high) * 1.2] } },
    hooks: {
      draw: [(plot) => marks(plot, series.decisions)],
      ready: [(plot) => plot.over.addEventListener('click', () => {
        const at = plot.posToVal(plot.cursor.left, 'x');
        const near = nearest(series.decisions, at);
        if (near) chosen(near);
      })],
    },
  }, [series.at, series.serving_instances, series.current_instances, series.desired_instances], `${t('size')}: ${number(last(series.serving_instances))}`);
  return () => made.forEach((plot) => plot.destroy());
}

const last = (values) => values.findLast((value) => value !== null);

function range(low, high, bounds) {
  const all = [low, high, ...bounds.map((bound) => bound.value)].filter((value) => Number.isFinite(value));
  if (all.length === 0) return [0, 1];
  const [least, most] = [Math.min(0, ...all), Math.max(...all)];
  return [least, most + (most - least || 1) * 0.1];
}

function bounds(plot, lines) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.setLineDash([4, 4]);
  ctx.lineWidth = devicePixelRatio;
  ctx.strokeStyle = color('--quiet');
  for (const { value } of lines) {
    const y = plot.valToPos(value, 'y', true);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function marks(plot, decisions) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = 'center';
  // What changed the size stands above what was kept from it.
  const order = [...decisions].sort((a, b) => (a.kind === 'blocked' ? 0 : 1) - (b.kind === 'blocked' ? 0 : 1));
  for (const { at, kind } of order) {
    const x = plot.valToPos(new Date(at) / 1000, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.fillStyle = color({ out: '--accent', in: '--second', blocked: '--quiet' }[kind]);
    ctx.fillText(MARK[kind], x, bbox.top + (kind === 'blocked' ? 24 : 12) * devicePixelRatio);
  }
  ctx.restore();
}

function nearest(decisions, secs) {
  let best = null, distance = Infinity;
  for (const decision of decisions) {
    const away = Math.abs(new Date(decision.at) / 1000 - secs);
    if (away < distance) [best, distance] = [decision, away];
  }
  return best;
}

export const mark = (kind) => MARK[kind] ?? '';
