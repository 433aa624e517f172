// The page: which view is shown, and when it is refreshed.
import 'uplot/dist/uPlot.min.css';
import './app.css';
import { Live } from './api.js';
import { zone } from './dom.js';
import { fleet } from './fleet.js';
import { audit, events, remember } from './lists.js';
import { overview } from './overview.js';
import { language, t } from './words.js';

// Ages grow without events; and many fleets tick all the time.
const QUIET_MS = 5_000;
const BUSY_MS = 1_000;

const main = document.getElementById('main');
let view = null, controller = null, timer = 0, last = 0;

function route() {
  view?.close?.();
  controller?.abort();
  controller = new AbortController();
  const [, name, of] = location.hash.split('/');
  view = name === 'fleet' ? fleet(main, decodeURIComponent(of ?? '')) : name === 'events' ? events(main) : name === 'audit' ? audit(main) : overview(main);
  document.title = name === 'fleet' ? `${decodeURIComponent(of ?? '')} · fleetscaler` : 'fleetscaler';
  document.querySelectorAll('nav a').forEach((link) => {
    if (link.hash === (location.hash || '#/')) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  });
  refresh();
}

async function refresh() {
  clearTimeout(timer);
  last = Date.now();
  const { signal } = controller;
  try {
    if (!document.hidden) await view.refresh(signal);
  } catch (error) {
    if (error.name === 'AbortError') return;
    const said = document.createElement('p');
    said.className = 'refused';
    said.textContent = error.status ? `${error.message} ${error.hint ?? ''}` : t('failed');
    if (!main.querySelector('.refused')) main.prepend(said);
    timer = setTimeout(refresh, QUIET_MS);
    return;
  }
  main.querySelector(':scope > .refused')?.remove();
  if (!signal.aborted) timer = setTimeout(refresh, QUIET_MS);
}

function soon() {
  const wait = Math.max(0, last + BUSY_MS - Date.now());
  clearTimeout(timer);
  timer = setTimeout(refresh, wait);
}

document.documentElement.lang = language;
document.querySelectorAll('[data-i18n]').forEach((element) => { element.textContent = t(element.dataset.i18n); });
document.getElementById('foot').textContent = `${t('times')} ${zone}`;
addEventListener('hashchange', () => { route(); main.focus({ preventScroll: true }); });
addEventListener('changed', soon);
addEventListener('entered', route);
addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
addEventListener('keydown', (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? '');
  if (event.key === '/' && !typing) { document.getElementById('filter')?.focus(); event.preventDefault(); }
  if (event.key === 'Escape' && !document.querySelector('dialog[open]')) document.getElementById('filter')?.blur();
});
let width = innerWidth;
addEventListener('resize', () => { if (innerWidth !== width) { width = innerWidth; view.resized?.(); } });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => view.resized?.());
new Live((event) => { remember(event); soon(); });
route();
