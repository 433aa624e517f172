// Asking the daemon, and the state of the connection to it.
import { el } from './dom.js';
import { t } from './words.js';

const TOKEN = 'fleetscaler-token';

export class Refused extends Error {
  constructor(status, body) {
    super(body?.error?.message ?? `HTTP ${status}`);
    this.status = status;
    this.code = body?.error?.code;
    this.hint = body?.error?.hint ?? '';
  }
}

const authorized = (headers) => {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { ...headers, authorization: `Bearer ${token}` } : headers;
};

/** A question that is asked again once a token is there, where it takes one. */
async function ask(path, headers, signal) {
  for (;;) {
    const answer = await fetch(path, { headers: authorized(headers), signal });
    if (answer.status !== 401) return answer;
    await tokenGiven();
  }
}

export async function get(path, signal) {
  const answer = await ask(path, { accept: 'application/json' }, signal);
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}

export async function change(method, path, body) {
  const headers = authorized({ accept: 'application/json' });
  if (body) headers['content-type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const said = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, said);
  return said;
}

export const keepToken = (token) => sessionStorage.setItem(TOKEN, token);

let given = null;

/** Asks for the token once, however many questions wait for it. */
function tokenGiven() {
  given ??= new Promise((done) => {
    const input = el('input', { type: 'password', name: 'token', autocomplete: 'off', required: true });
    const form = el('form', {
      class: 'enter', onsubmit: (event) => { event.preventDefault(); keepToken(input.value); given = null; done(); dispatchEvent(new Event('entered')); },
    }, el('label', {}, t('token'), input, el('small', {}, t('readhint'))),
    sessionStorage.getItem(TOKEN) ? el('p', { class: 'refused', role: 'alert' }, t('wrongtoken')) : null, el('button', { class: 'primary' }, t('enter')));
    document.getElementById('main').replaceChildren(form);
    input.focus();
  });
  return given;
}

const KINDS = new Set(['tick', 'decision', 'intent', 'settlement', 'adoption', 'alert', 'hook', 'lease', 'clock', 'operator', 'hold', 'resent']);
const AGAIN_MS = 3_000;

/** Calls `happened` for each record of the journal, and says how the connection is. */
export class Live {
  constructor(happened) {
    this.happened = happened;
    this.say('waiting');
    this.follow();
  }

  async follow() {
    try {
      const headers = { accept: 'text/event-stream' };
      if (this.newest) headers['last-event-id'] = this.newest;
      const answer = await ask('/v1/events', headers);
      if (!answer.ok) throw new Refused(answer.status, null);
      this.say('live');
      await this.read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch {
      // It is tried again, whatever it was.
    }
    this.say('lost');
    setTimeout(() => this.follow(), AGAIN_MS);
  }

  /** Events end with an empty line. */
  async read(reader) {
    for (let rest = ''; ;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).replace(/\r/g, '').split('\n\n');
      rest = parts.pop();
      parts.forEach((part) => this.take(part));
    }
  }

  take(event) {
    const of = { event: '', data: '', id: '' };
    for (const line of event.split('\n')) {
      const [, key, value] = line.match(/^(event|data|id): ?(.*)$/) ?? [];
      if (key) of[key] = value;
    }
    if (of.id) this.newest = of.id;
    if (of.data && KINDS.has(of.event)) this.happened(JSON.parse(of.data));
  }

  say(state) {
    const link = document.getElementById('link');
    if (link.dataset.state === state) return;
    link.dataset.state = state;
    link.textContent = t(state);
  }
}
