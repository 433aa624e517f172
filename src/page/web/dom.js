// Elements, times and numbers. Texts are set as text, never as HTML: whatever a fleet or a reason is
// called, it is only shown.
import { language, t } from './words.js';

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class') element.className = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';
const short = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
const clock = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
export const zone = new Intl.DateTimeFormat(language, { timeZoneName: 'short' }).formatToParts(new Date())
  .find((part) => part.type === 'timeZoneName')?.value ?? '';

const minute = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const date = new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric' });

/** A point on an axis that is `secs` long. */
export const onAxis = (at, secs) => (secs > 2 * 86400 ? date : secs > 600 ? minute : clock).format(new Date(at * 1000));

export const number = (value) => (value === null || value === undefined ? '–' : short.format(value));

/** Prices of the vendor's, in its currency. */
export const money = (amount, currency) => (amount === null || amount === undefined ? '–'
  : new Intl.NumberFormat(language, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' }).format(amount));

export function when(text) {
  if (!text) return '–';
  const at = new Date(text);
  const isToday = at.toDateString() === new Date().toDateString();
  return (isToday ? clock : day).format(at);
}

/** A sentence of the daemon's, with its times of UTC as this page shows times. */
export const local = (text) => text.replace(/(\d{4}-\d\d-\d\d[ T])?(\d\d:\d\d:\d\d)Z/g, (_, date, time) =>
  when(`${date?.slice(0, 10) ?? new Date().toISOString().slice(0, 10)}T${time}Z`));

/** `12 s`, `4 min`, `3 h`, `2 d` */
export function span(secs) {
  if (secs === null || secs === undefined) return '–';
  const [value, unit] = secs < 90 ? [secs, 's'] : secs < 5400 ? [secs / 60, 'min'] : secs < 172800 ? [secs / 3600, 'h'] : [secs / 86400, 'd'];
  return `${Math.round(value)} ${unit}`;
}

export const since = (text) => (text ? span(Math.max(0, (Date.now() - new Date(text)) / 1000)) : '–');

/** A line of the newest values; a gap is a gap. */
export function sparkline(values) {
  const width = 96, height = 24, pad = 2;
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('class', 'spark');
  svg.setAttribute('aria-hidden', 'true');
  const known = values.filter((value) => value !== null);
  if (known.length > 1) {
    const low = Math.min(...known), high = Math.max(...known), room = high - low;
    const x = (n) => pad + (n * (width - 2 * pad)) / (values.length - 1);
    // What does not change is a line in the middle.
    const y = (value) => (room ? height - pad - ((value - low) * (height - 2 * pad)) / room : height / 2);
    let path = '', pen = 'M';
    values.forEach((value, n) => {
      if (value === null) { pen = 'M'; return; }
      path += `${pen}${x(n).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = 'L';
    });
    const line = document.createElementNS(SVG, 'path');
    line.setAttribute('d', path);
    svg.append(line);
  }
  return svg;
}

export const empty = (key) => el('p', { class: 'empty' }, t(key));
export const heading = (key, ...more) => el('h2', {}, t(key), ...more);
