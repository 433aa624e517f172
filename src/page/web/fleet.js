// One fleet: its course, why it is as it is, its instances, places and holds.
import { el, empty, heading, local, money, number, since, span, when } from './dom.js';
import { change, get, keepToken, Refused } from './api.js';
import { charts, mark, shownSecs } from './charts.js';
import { t } from './words.js';

const SECS = { '1h': 3600, '6h': 21600, '24h': 86400, '7d': 604800 };
const RANGES = Object.keys(SECS);
// A chart is drawn anew as often as its width has another point: more often shows nothing new, less often looks stuck.
const POINTS = 500, DRAW_LEAST_SECS = 2, DRAW_MOST_SECS = 10;
let range = matchMedia('(max-width: 600px)').matches ? '1h' : '6h';

export function fleet(main, name) {
  const path = `/v1/fleets/${encodeURIComponent(name)}`;
  const part = (key) => el('section', { id: key, 'aria-label': t(key) });
  const top = el('div', { class: 'facts' }), course = el('div', { class: 'course' });
  const story = el('div', { class: 'story' });
  const parts = Object.fromEntries(['alerts', 'holds', 'instructions', 'decisions', 'instances', 'places', 'schedule'].map((key) => [key, part(key)]));
  const ranges = el('fieldset', { class: 'ranges' }, el('legend', { class: 'unseen' }, t('range')), RANGES.map((of) => el('label', {},
    el('input', { type: 'radio', name: 'range', value: of, checked: of === range, onchange: () => { range = of; draw(); } }), of)));
  main.replaceChildren(el('h1', {}, name), top, parts.alerts, ranges, el('div', { class: 'beside' }, course, story),
    parts.decisions, parts.schedule, parts.instances, parts.places, parts.holds, parts.instructions);
  let destroy = () => {};
  let lastDraw = 0, drawEvery = 0;
  let drawn = '';
  // The newest decision is told until one is chosen.
  let told = '', isChosen = false;

  async function draw(signal) {
    const series = await get(`${path}/series?since=${range}`, signal);
    const text = `${range} ${series.at.length} ${series.at.at(-1)} ${series.decisions.length}`;
    if (text === drawn) return;
    [drawn, lastDraw] = [text, Date.now()];
    destroy();
    if (series.at.length === 0) { destroy = () => {}; course.replaceChildren(empty('nodata')); return; }
    drawEvery = Math.min(DRAW_MOST_SECS, Math.max(DRAW_LEAST_SECS, shownSecs(series, SECS[range]) / POINTS));
    destroy = charts(course, series, SECS[range], (decision) => explain(decision.id, decision.at));
  }

  async function explain(id, at) {
    const { decisions } = await get(`${path}/decisions?at=${encodeURIComponent(at)}&limit=5`);
    const decision = decisions.find((one) => one.id === id) ?? decisions[0];
    if (!decision) return;
    isChosen = true;
    // What was asked for is read out; what follows by itself is not.
    story.setAttribute('aria-live', 'polite');
    story.replaceChildren(explanation(decision));
  }

  function follow(newest) {
    const text = JSON.stringify(newest);
    if (isChosen || !newest || text === told) return;
    told = text;
    story.replaceChildren(explanation(newest));
  }

  return {
    async refresh(signal) {
      const [of, listed, recent, places] = await Promise.all([
        get(path, signal), get(`${path}/instances`, signal), get(`${path}/decisions?limit=8`, signal), get('/v1/places', signal)]);
      facts(top, of);
      alerts(parts.alerts, of);
      holds(parts.holds, of, path);
      instructions(parts.instructions, of, path);
      schedule(parts.schedule, of.schedule);
      if (!keeps(parts.decisions)) decisions(parts.decisions, recent.decisions, explain);
      instances(parts.instances, listed.instances);
      stock(parts.places, places.places.filter((place) => place.fleets.includes(name)));
      follow(recent.decisions[0]);
      if (Date.now() - lastDraw > drawEvery * 1000) await draw(signal);
    },
    resized() { drawn = ''; draw(); },
    close() { destroy(); },
  };
}

const keeps = (section) => section.contains(document.activeElement);

function facts(top, of) {
  const sizes = of.instances;
  const fact = (key, value, more) => el('div', { class: 'fact' }, el('dt', {}, t(key)), el('dd', {}, value, more && el('small', {}, more)));
  if (!sizes) { top.replaceChildren(el('p', {}, of.trouble?.message ?? t(of.acts === 'another_replica' ? 'elsewhere' : 'notseen'))); return; }
  const coming = sizes.requested + sizes.booting + sizes.warming_up;
  const signal = of.signals[0];
  top.replaceChildren(el('dl', {},
    fact('serves', String(sizes.serving)), fact('coming', coming ? `+${coming}` : '–'),
    fact('going', sizes.leaving + sizes.draining ? `-${sizes.leaving + sizes.draining}` : '–'),
    fact('wants', String(of.wants?.desired_instances ?? '–')), fact('bounds', `${of.bounds.min_instances}..${of.bounds.max_instances}`),
    signal && fact('signal', `${signal.signal} ${number(signal.value)}`, signal.age_secs === null ? signal.missing?.text : span(signal.age_secs)),
    of.cost && fact('cost', money(of.cost.amount_per_hour, of.cost.currency), of.cost.unpriced_instances ? `+ ${of.cost.unpriced_instances} ?` : null),
    of.shadow && fact('shadow', String(of.shadow.shadow_desired_instances),
      of.shadow.differs_since ? `${t('since')} ${when(of.shadow.differs_since)}` : t('same'))),
  el('p', { class: 'why' }, local(of.why ?? ''), of.trouble ? el('strong', {}, ` ${of.trouble.message}`) : null));
}

// What the calendar says, now and in the next week.
function schedule(section, all) {
  section.hidden = all.length === 0;
  if (section.hidden) return;
  const sets = (one) => [
    one.min_instances !== null && `min ${one.min_instances}`, one.max_instances !== null && `max ${one.max_instances}`,
    one.forbids && `${t('no')} ${t(one.forbids)}`].filter(Boolean).join(', ');
  section.replaceChildren(heading('schedule'), el('ul', { class: 'said' }, all.map((one) => el('li', {},
    el('strong', {}, one.is_in_force ? t('now') : when(one.from)), ` ${t('until')} ${when(one.until)}: ${local(one.rule)}: ${sets(one)}`))));
}

function alerts(section, of) {
  section.hidden = of.alerts.length === 0;
  section.replaceChildren(el('ul', { class: 'alerts' }, of.alerts.map((alert) => el('li', {},
    el('strong', {}, alert.code), ` ${t('since')} ${when(alert.since)}: ${local(alert.message)}`))));
}

function decisions(section, all, explain) {
  section.replaceChildren(heading('decisions'), all.length === 0 ? empty('nodecisions') : el('ol', { class: 'decisions' }, all.map((decision) => {
    const kind = decision.launched_instances ? 'out' : decision.removed_instances ? 'in' : decision.blocked_by ? 'blocked' : '';
    return el('li', {}, el('button', { type: 'button', onclick: () => explain(decision.id, decision.decided_at) },
      el('time', { datetime: decision.decided_at }, when(decision.decided_at)), el('span', { class: `mark ${kind}`, title: kind && t(kind) }, mark(kind)), el('span', {}, local(decision.summary))));
  })));
}

function explanation(decision) {
  const row = (key, text) => [el('dt', {}, t(key)), el('dd', {}, local(text))];
  const { saw } = decision;
  const list = [];
  if (saw) list.push(...row('saw', `${saw.instances.serving} ${t('serving')}, +${saw.instances.requested + saw.instances.booting + saw.instances.warming_up}` +
    decision.signals.map((signal) => `; ${signal.signal} = ${signal.value === null ? signal.missing?.text : number(signal.value)}`).join('')));
  for (const rule of decision.rules) list.push(...row('rule', [rule.rule, ...rule.because.map((reason) => reason.text)].join(': ')));
  const told = new Set(decision.rules.flatMap((rule) => rule.because.map((reason) => reason.text)));
  const others = decision.reasons.filter((reason) => !told.has(reason.text));
  if (others.length) list.push(...row('because', others.map((reason) => reason.text).join('; ')));
  for (const move of decision.moves ?? []) list.push(...row('did', move));
  for (const action of decision.actions) list.push(...row('did', action.outcome ?? action.action));
  for (const short of decision.shortfalls) list.push(...row('short', short));
  for (const would of decision.would_change) list.push(...row('else', would.text));
  return el('article', {}, el('h2', {}, `${t('why')} · ${when(decision.decided_at)}`), el('p', { class: 'why' }, local(decision.summary)), el('dl', { class: 'explain' }, list));
}

function instances(section, all) {
  const zones = Map.groupBy ? Map.groupBy(all, (one) => one.zone ?? '–') : group(all);
  const strips = [...zones].sort().map(([zone, of]) => el('div', { class: 'zone' }, el('h3', {}, `${zone} · ${of.length}`), el('ul', { class: 'strip' },
    of.map((one) => el('li', { class: `instance ${one.phase}` }, el('code', {}, one.instance),
      el('span', {}, one.phase.replace('_', ' ')),
      one.ownership === 'base' ? null : el('button', { type: 'button', class: 'more', title: t('act'), 'aria-label': `${t('act')}: ${one.instance}`, onclick: () => act(one) }, '⋯'),
      el('small', {}, [one.instance_type, one.private_ip, `${since(one.phase_since ?? one.launched_at)}`, one.ownership === 'base' ? 'base' : null, one.is_protected ? 'protected' : null, one.is_outdated ? t('outdated') : null].filter(Boolean).join(' · ')))))));
  section.replaceChildren(heading('instances', ` ${all.length}`), ...(all.length ? strips : [empty('noinstances')]));
}

function group(all) {
  const zones = new Map();
  for (const one of all) zones.set(one.zone ?? '–', [...(zones.get(one.zone ?? '–') ?? []), one]);
  return zones;
}

function stock(section, places) {
  const cold = places.filter((place) => place.state !== 'open' && place.state !== 'unknown');
  section.replaceChildren(heading('places'), cold.length === 0 ? empty('noplaces') : el('ul', { class: 'places' }, cold.map((place) => el('li', {},
    el('code', {}, `${place.instance_type} · ${place.vswitch}`), ` ${place.state.replace('_', ' ')} ${place.until ? `${t('until')} ${when(place.until)}` : ''} ${place.why ?? ''}`))));
}

function holds(section, of, path) {
  const text = JSON.stringify(of.holds);
  if (section.text === text) return;
  section.text = text;
  const hadFocus = keeps(section);
  section.replaceChildren(heading('holds'), of.holds.length === 0 ? empty('noholds') : el('ul', { class: 'holds' }, of.holds.map((hold) => el('li', {},
    `${t(hold.holds)} ${t('until')} ${when(hold.until)} ${t('by')} ${hold.author}: ${hold.reason} `,
    el('button', { type: 'button', onclick: () => lift(hold) }, t('lift'))))),
  el('button', { type: 'button', id: 'place-hold', onclick: () => place(path) }, t('hold')));
  if (hadFocus) document.getElementById('place-hold').focus();
}

/** What people asked for, and a way to set the size and to withdraw. */
function instructions(section, of, path) {
  const all = of.instructions ?? [];
  const text = JSON.stringify(all);
  if (section.text === text) return;
  section.text = text;
  const hadFocus = keeps(section);
  section.replaceChildren(heading('instructions'), all.length === 0 ? empty('noinstructions') : el('ul', { class: 'holds' }, all.map((one) => el('li', {},
    `${instructed(one)} ${t('until')} ${when(one.until)} ${t('by')} ${one.author}: ${one.reason} `,
    el('button', { type: 'button', onclick: () => withdraw(one) }, t('withdraw'))))),
  el('button', { type: 'button', id: 'set-size', onclick: () => setSize(path, of) }, t('set')));
  if (hadFocus) document.getElementById('set-size').focus();
}

function instructed(one) {
  if (one.kind !== 'size') return `${t(one.kind)} ${one.instance ?? one.vswitch ?? ''}`.trim();
  return one.min === one.max ? `${t('sized')} ${one.min}` : `${t('sized')} ${one.min ?? '–'}..${one.max ?? '–'}`;
}

/** Asks for what it takes, and says what was refused; the dialog stays until it is done. */
function ask(title, fields, go, button) {
  const dialog = document.getElementById('ask');
  const refused = el('p', { class: 'refused', role: 'alert' });
  const token = el('label', { hidden: true }, t('token'), el('input', { type: 'password', name: 'token', autocomplete: 'off' }), el('small', {}, t('tokenhint')));
  const form = el('form', {
    method: 'dialog', onsubmit: async (event) => {
      event.preventDefault();
      const values = Object.fromEntries(new FormData(form));
      if (values.token) keepToken(values.token);
      try {
        await go(values);
        dialog.close();
        dispatchEvent(new Event('changed'));
      } catch (error) {
        if (error instanceof Refused && ['token_needed', 'role_too_low'].includes(error.code)) token.hidden = false;
        refused.textContent = `${t('refused')}: ${error.message}${error.hint ? ` (${error.hint})` : ''}`;
      }
    },
  }, el('h2', { id: 'ask-title' }, title), fields, token, refused,
  el('p', { class: 'buttons' }, el('button', { type: 'button', onclick: () => dialog.close() }, t('cancel')), el('button', { class: 'primary' }, button)));
  dialog.replaceChildren(form);
  dialog.showModal();
}

const HOURS = [[1800, '30 min'], [3600, '1 h'], [7200, '2 h'], [28800, '8 h'], [86400, '1 d']];

function place(path) {
  const select = (name, options, chosen) => el('select', { name }, options.map(([value, text]) => el('option', { value, selected: value === chosen }, text)));
  ask(`${t('hold')}: ${decodeURIComponent(path.split('/').pop())}`, [
    el('label', {}, t('what'), select('holds', [['both', t('both')], ['scale_in', t('scale_in')], ['scale_out', t('scale_out')]])),
    el('label', {}, t('long'), select('for_secs', HOURS, 7200)),
    el('label', {}, t('name'), el('input', { name: 'author', required: true, maxlength: 60 })),
    el('label', {}, t('reason'), el('input', { name: 'reason', required: true, maxlength: 200 }))],
  ({ holds, for_secs, author, reason }) => change('POST', `${path}/holds`, { holds, for_secs: Number(for_secs), author, reason }), t('place'));
}

function lift(hold) {
  const author = el('label', {}, t('name'), el('input', { name: 'author', required: true, maxlength: 60 }));
  ask(t('liftask'), [el('p', {}, `${t(hold.holds)}: ${hold.reason}`), author],
    ({ author }) => change('DELETE', `${hold.fleet ? `/v1/fleets/${encodeURIComponent(hold.fleet)}` : '/v1'}/holds/${hold.id}?author=${encodeURIComponent(author)}`), t('lift'));
}

const choose = (name, options, chosen) => el('select', { name }, options.map(([value, text]) => el('option', { value, selected: value === chosen }, text)));
const signed = () => [
  el('label', {}, t('name'), el('input', { name: 'author', required: true, maxlength: 60 })),
  el('label', {}, t('reason'), el('input', { name: 'reason', required: true, maxlength: 200 }))];

function setSize(path, of) {
  const fleet = decodeURIComponent(path.split('/').pop());
  const { min_instances: min, max_instances: max } = of.bounds;
  ask(`${t('set')}: ${fleet}`, [
    el('label', {}, t('size'), el('input', { name: 'size', type: 'number', required: true, min, max, value: of.wants?.desired_instances ?? min })),
    el('label', {}, t('long'), choose('for_secs', HOURS, 7200)), ...signed()],
  ({ size, for_secs, author, reason }) => change('POST', '/v1/instructions',
    { kind: 'size', fleet, min: Number(size), max: Number(size), for_secs: Number(for_secs), author, reason }), t('set'));
}

function act(one) {
  const away = one.phase === 'standby' ? ['return', t('return')] : ['standby', t('standby')];
  ask(one.instance, [
    el('label', {}, t('act'), choose('kind', [['protect', t('protect')], away, ['replace', t('replace')]], 'protect')),
    el('label', {}, t('long'), choose('for_secs', HOURS, 7200)), ...signed()],
  ({ kind, for_secs, author, reason }) => change('POST', '/v1/instructions',
    { kind, instance: one.instance, for_secs: Number(for_secs), author, reason }), t('give'));
}

function withdraw(one) {
  const author = el('label', {}, t('name'), el('input', { name: 'author', required: true, maxlength: 60 }));
  ask(t('withdrawask'), [el('p', {}, `${instructed(one)}: ${one.reason}`), author],
    ({ author }) => change('DELETE', `/v1/instructions/${one.id}?author=${encodeURIComponent(author)}`), t('withdraw'));
}
