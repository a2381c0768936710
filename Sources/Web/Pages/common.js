'use strict';

/** Asks the daemon; a refusal becomes an Error with the daemon's sentence. */
async function ask(path, how = 'json') {
  const answer = await fetch(path, {credentials: 'same-origin'});
  if (!answer.ok) {
    let reason = `${answer.status} ${answer.statusText}`;
    try { reason = (await answer.json()).error || reason; } catch { /* no sentence came */ }
    throw new Error(reason);
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
