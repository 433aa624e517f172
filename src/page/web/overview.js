// All fleets: a row each, what needs a person first.
import { el, empty, local, money, number, span, sparkline } from './dom.js';
import { get } from './api.js';
import { t } from './words.js';

const COLUMNS = ['fleet', 'serves', 'coming', 'going', 'wants', 'bounds', 'signal', 'cost', 'why'];
const state = { filter: '', sort: 'fleet', down: false, fleets: [] };

export function overview(main) {
  const filter = el('input', {
    type: 'search', placeholder: t('filter'), 'aria-label': t('filter'), value: state.filter, id: 'filter', autocomplete: 'off',
    oninput: (event) => { state.filter = event.target.value; draw(body); },
  });
  const body = el('tbody');
  const head = el('tr', {}, COLUMNS.map((column) => el('th', { scope: 'col', class: column },
    el('button', { type: 'button', onclick: () => sortBy(column, body, head) }, t(column)))));
  const alerts = el('ul', { class: 'alerts', 'aria-label': t('alerts') });
  main.replaceChildren(
    el('h1', { class: 'unseen' }, t('fleets')), alerts, filter,
    el('div', { class: 'scroll' }, el('table', { class: 'fleets' }, el('thead', {}, head), body)),
  );
  filter.focus({ preventScroll: true });
  body.addEventListener('keydown', (event) => move(event, body));
  filter.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') { body.querySelector('a')?.focus(); event.preventDefault(); }
  });
  return {
    async refresh(signal) {
      state.fleets = (await get('/v1/overview', signal)).fleets;
      draw(body);
      tell(alerts);
    },
  };
}

function sortBy(column, body, head) {
  state.down = state.sort === column && !state.down;
  state.sort = column;
  head.querySelectorAll('th').forEach((cell) => {
    if (cell.className === column) cell.setAttribute('aria-sort', state.down ? 'descending' : 'ascending');
    else cell.removeAttribute('aria-sort');
  });
  draw(body);
}

const VALUE = {
  fleet: (row) => row.fleet, serves: (row) => row.serving, coming: (row) => row.coming, going: (row) => row.leaving + row.draining,
  wants: (row) => row.desired ?? -1, bounds: (row) => row.max ?? -1, signal: (row) => row.value ?? -Infinity,
  cost: (row) => row.cost_per_hour ?? -1,
  why: (row) => (row.alerts.length ? '0' : '1') + (row.headline ?? ''),
};

function shown() {
  const words = state.filter.toLowerCase();
  const value = VALUE[state.sort];
  const order = state.down ? -1 : 1;
  return state.fleets
    .filter((row) => row.fleet.toLowerCase().includes(words))
    .sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return order * (typeof x === 'string' ? x.localeCompare(y) : x - y) || a.fleet.localeCompare(b.fleet);
    });
}

// Rows are kept by fleet: what has focus keeps it, and what did not change is not touched.
function draw(body) {
  const rows = shown();
  if (rows.length === 0) {
    const key = state.fleets.length === 0 ? 'none' : 'nomatch';
    body.replaceChildren(el('tr', {}, el('td', { colspan: COLUMNS.length }, empty(key))));
    return;
  }
  const before = new Map([...body.children].map((row) => [row.dataset.fleet, row]));
  const wanted = rows.map((row) => {
    const text = JSON.stringify(row);
    const old = before.get(row.fleet);
    if (old?.text === text) return old;
    const made = line(row);
    made.text = text;
    if (old?.contains(document.activeElement)) queueMicrotask(() => made.querySelector('a').focus());
    return made;
  });
  if (wanted.length === body.children.length && wanted.every((row, n) => row === body.children[n])) return;
  body.replaceChildren(...wanted);
}

function line(row) {
  const signed = (sign, count) => (count > 0 ? `${sign}${count}` : '–');
  const level = row.trouble || row.alerts.length ? 'red' : row.blocked_by || row.holds || row.coming || row.draining ? 'amber' : 'green';
  const wants = row.desired === null ? '–' : String(row.desired);
  const bounds = row.max === null ? '–' : `${row.min}..${row.max}`;
  const why = local(row.trouble ?? (row.is_seen ? row.headline ?? '' : t('notseen')));
  const signal = row.signal === null ? [] : [
    el('span', { class: 'value' }, `${row.signal} ${number(row.value)}`), sparkline(row.recent_values),
    el('span', { class: 'quiet' }, row.age_secs === null ? '' : span(row.age_secs)),
  ];
  const cell = (name, ...children) => el('td', { class: name, 'data-label': t(name) }, ...children);
  const made = el('tr', { class: row.is_seen ? level : 'grey' },
    el('th', { scope: 'row', class: 'fleet' },
      el('a', { href: `#/fleet/${encodeURIComponent(row.fleet)}` }, el('span', { class: 'dot', 'aria-hidden': 'true' }), row.fleet)),
    cell('serves', row.is_seen ? String(row.serving) : '–'), cell('coming', signed('+', row.coming)),
    cell('going', signed('-', row.leaving + row.draining)), cell('wants', wants), cell('bounds', bounds),
    cell('signal', ...signal), cell('cost', money(row.cost_per_hour, row.currency)), cell('why', row.alerts.length ? el('strong', {}, `! ${row.alerts.join(', ')} `) : null, why));
  made.dataset.fleet = row.fleet;
  return made;
}

function tell(list) {
  const told = state.fleets.filter((row) => row.trouble || row.alerts.length).slice(0, 5);
  list.replaceChildren(...told.map((row) => el('li', {},
    el('a', { href: `#/fleet/${encodeURIComponent(row.fleet)}` }, row.fleet), ` ${row.trouble ?? `${row.alerts.join(', ')}: ${row.headline ?? ''}`}`)));
}

function move(event, body) {
  const links = [...body.querySelectorAll('th a')];
  const at = links.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  if (to < 0) document.getElementById('filter').focus();
  else links[Math.min(to, links.length - 1)].focus();
}
