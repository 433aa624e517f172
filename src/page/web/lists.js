// Events as they happen, and the newest audit.
import { el, empty, when } from './dom.js';
import { get } from './api.js';
import { t } from './words.js';

const KEPT = 300;
const happened = [];
let kind = '';

/** Quiet ticks are no events. */
export function remember(event) {
  if (event.kind === 'tick' && !Object.keys(event.record.phases ?? {}).length) return false;
  happened.unshift(event);
  happened.length = Math.min(happened.length, KEPT);
  return true;
}

export function events(main) {
  const list = el('ol', { class: 'events' });
  const select = el('select', { 'aria-label': t('kind'), onchange: (event) => { kind = event.target.value; draw(); } });
  main.replaceChildren(el('h1', {}, t('events')), select, list);
  function draw() {
    const kinds = [...new Set(happened.map((event) => event.kind))].sort();
    select.replaceChildren(el('option', { value: '' }, t('all')), ...kinds.map((of) => el('option', { value: of, selected: of === kind }, of)));
    const shown = happened.filter((event) => !kind || event.kind === kind);
    list.replaceChildren(...(shown.length ? shown.map(line) : [empty('noevents')]));
  }
  draw();
  return { async refresh() { if (!main.contains(document.activeElement)) draw(); } };
}

function line(event) {
  return el('li', {}, el('time', { datetime: event.at }, when(event.at)), el('span', { class: 'kind' }, event.kind),
    event.fleet ? el('a', { href: `#/fleet/${encodeURIComponent(event.fleet)}` }, event.fleet) : el('span', {}, event.account ?? ''), el('span', { class: 'text' }, text(event)));
}

function text({ kind: of, record }) {
  if (of === 'tick') return Object.entries(record.phases).map(([id, phase]) => `${id}: ${phase.replace('_', ' ')}`).join(', ');
  if (of === 'decision') return record.decision ? `${record.decision.current} → ${record.decision.desired}` : '';
  if (of === 'intent') return record.action?.mutation?.kind ?? '';
  if (of === 'settlement') return record.settlement?.outcome ?? '';
  if (of === 'alert') return record.alert ? `${record.alert.code}: ${record.alert.message}` : `${record.key?.code ?? ''}`;
  if (of === 'hook') return record.call ? `${record.call.hook} · ${record.call.instance}` : `${record.end.hook} · ${record.end.instance}: ${record.end.outcome}`;
  return record.reason ?? record.changes ?? record.hold?.reason ?? '';
}

export function audit(main) {
  const body = el('div');
  main.replaceChildren(el('h1', {}, t('audit')), body);
  return {
    async refresh(signal) {
      const { audits } = await get('/v1/audit', signal);
      body.replaceChildren(...(audits.length === 0 ? [empty('noaudit')] : audits.map((one) => el('section', {}, el('h2', {}, one.account),
        el('p', { class: 'quiet' }, `${when(one.audited_at)} · ${one.listed_instances} ${t('instances')}`),
        one.findings.length === 0 ? el('p', {}, t('clean')) : el('ul', {}, one.findings.map((finding) => el('li', {},
          el('strong', {}, finding.kind), ` ${finding.fleet} `, el('code', {}, finding.instance), ` ${finding.text}`)))))));
    },
  };
}
