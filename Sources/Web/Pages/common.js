'use strict';

/** Asks the daemon; a refusal becomes an Error with the daemon's sentence and its `status`. */
async function ask(path, how = 'json') {
  let answer;
  try { answer = await fetch(path, {credentials: 'same-origin'}); } catch { throw new Error('the daemon does not answer'); }
  if (!answer.ok) {
    let reason = `${answer.status} ${answer.statusText}`;
    try { reason = (await answer.json()).error || reason; } catch { /* no sentence came */ }
    throw Object.assign(new Error(reason), {status: answer.status});
  }
  return how === 'json' ? answer.json() : answer.arrayBuffer();
}

const api = (volume, rest = '') => `/api/v1/volumes/${encodeURIComponent(volume)}${rest}`;

function element(name, content, attributes = {}) {
  const made = document.createElement(name);
  if (content !== undefined) made.append(content);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function bytes(count) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (count >= 1024 && unit < units.length - 1) { count /= 1024; unit += 1; }
  return `${count.toFixed(count < 10 && unit ? 1 : 0)} ${units[unit]}`;
}

const whole = (value) => Math.round(value).toLocaleString('en');

/** A number of things: `1 file`, `2 files`. */
const counted = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

/** A moment, as `2026-11-26 19:30:05` in the reader's zone. */
const moment = (date) => new Date(date).toLocaleString('sv');

/** A time of the database, as `2026-11-26 19:30:05`, in the zone it came in. */
const time = (text) => text.slice(0, 19).replace('T', ' ');
