// Asking the daemon, and the state of the connection to it.
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

export async function get(path, signal) {
  const answer = await fetch(path, { headers: { accept: 'application/json' }, signal });
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}

export async function change(method, path, body) {
  const headers = { accept: 'application/json' };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.authorization = `Bearer ${token}`;
  if (body) headers['content-type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const said = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, said);
  return said;
}

export const keepToken = (token) => sessionStorage.setItem(TOKEN, token);

/** Calls `happened` for each record of the journal, and says how the connection is. */
export class Live {
  constructor(happened) {
    this.happened = happened;
    this.open();
  }

  open() {
    this.source = new EventSource('/v1/events');
    this.source.onopen = () => this.say('live');
    this.source.onerror = () => {
      this.say('lost');
      // A browser tries again by itself, unless the answer was no stream at all.
      if (this.source.readyState === EventSource.CLOSED) setTimeout(() => this.open(), 3000);
    };
    for (const kind of ['tick', 'decision', 'intent', 'settlement', 'adoption', 'alert', 'hook', 'lease', 'clock', 'operator', 'hold', 'resent']) {
      this.source.addEventListener(kind, (event) => this.happened(JSON.parse(event.data)));
    }
    this.say('waiting');
  }

  say(state) {
    const link = document.getElementById('link');
    if (link.dataset.state === state) return;
    link.dataset.state = state;
    link.textContent = t(state);
  }
}
