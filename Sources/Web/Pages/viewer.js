'use strict';

let volumes = [];
let asked = 0; // the last section asked for; answers to earlier ones are dropped

const say = (text) => { get('message').textContent = text; };
const volumeNow = () => volumes.find((one) => one.name === view.volume);

/** Where the page is, in its address: `#VOLUME/Z`, or `#VOLUME/Z@OPERATION`. */
function address() { return `#${encodeURIComponent(view.volume)}/${view.z}${view.asOf === null ? '' : `@${view.asOf}`}`; }

function place() {
  const [name, rest = ''] = location.hash.slice(1).split('/');
  const [z, operation] = rest.split('@');
  let volume = name;
  try { volume = decodeURIComponent(name); } catch { /* as it is */ }
  return {volume, z: /^-?\d+$/.test(z) ? Number(z) : null, asOf: /^\d+$/.test(operation) ? Number(operation) : null};
}

// Sections

async function showSection() {
  const mine = asked += 1;
  history.replaceState(null, '', address());
  get('z').value = get('z-range').value = view.z;
  try {
    const {section, table} = await load(view.volume, view.z, view.asOf);
    if (mine !== asked) return;
    view.shown = {section, table, asOf: view.asOf};
    if (!view.centre && section.height) fit();
    const parts = [`z ${section.z}: ${section.state.replace('_', ' ')}`];
    if (section.revision > 1) parts.push(`revision ${section.revision}`);
    if (section.levels && section.segmentation === undefined) parts.push(view.asOf === null ? 'no segments yet' : 'no segments at that moment');
    say(parts.join(', ') + (section.note ? `. ${section.note}` : ''));
    nameLayers(section);
    prefetch();
  } catch (error) {
    if (mine !== asked) return;
    view.shown = null;
    say(error.message);
  }
  requestDraw();
}

/** Overlays that the section does not have cannot be chosen, and say why. */
function nameLayers(section) {
  for (const option of get('layer').options) {
    if (!(option.value in layers)) continue;
    option.dataset.name ??= option.textContent;
    option.disabled = !has(section, option.value);
    option.textContent = option.dataset.name + (option.disabled ? ` (${section.products ? 'not kept' : 'none'})` : '');
  }
}

/** What is shown now may have become something else. */
function refreshSection() {
  sections.delete([view.volume, view.z, view.asOf].join('/'));
  showSection();
}

let direction = 1;
/** The next section's segments and pixels, so that going through z does not wait. */
async function prefetch() {
  const {volume, z, asOf} = view;
  const next = z + direction;
  if (next < volumeNow()?.firstZ || next > volumeNow()?.lastZ) return;
  try {
    const {section, table} = await load(volume, next, asOf);
    if (!section.levels || !view.shown || view.z !== z) return;
    const shown = {section, table, asOf};
    const ratio = devicePixelRatio || 1;
    const level = levelFor(section, ratio);
    const wanted = [];
    eachTile(level, ratio, (y, x) => wanted.push([y, x]));
    for (const [y, x] of wanted.slice(0, 60)) {
      tile(volume, shown, 'image', level, y, x).catch(() => {});
      if (section.segmentation !== undefined) tile(volume, shown, 'labels', level, y, x).catch(() => {});
    }
  } catch { /* it is asked for again when it is wanted */ }
}

function goTo(z) {
  const volume = volumeNow();
  if (!volume) return;
  const wanted = Math.max(volume.firstZ ?? 0, Math.min(z, volume.lastZ ?? 0));
  if (wanted !== view.z) direction = wanted > view.z ? 1 : -1;
  view.z = wanted;
  showSection();
}

function fit() {
  const {height, width} = view.shown.section;
  view.centre = [height / 2, width / 2];
  view.scale = Math.min(canvas.clientWidth / width, canvas.clientHeight / height) || 1;
}

// Moments

/** Shows the segments as they were after an operation; null: as they are. */
function setMoment(operation, text) {
  view.asOf = operation;
  get('as-of-on').checked = operation !== null;
  get('as-of').disabled = operation === null;
  get('as-of-text').value = text;
}

async function chooseMoment() {
  if (!get('as-of-on').checked) {
    setMoment(null, 'now');
  } else {
    const z = Number(get('as-of').value);
    get('as-of').disabled = false;
    get('as-of-text').value = `z ${z}`;
    try {
      const {finalAtOperation} = await ask(api(view.volume, `/sections/${z}`));
      if (Number(get('as-of').value) !== z || !get('as-of-on').checked) return;
      if (finalAtOperation === undefined) { get('as-of-text').value = `z ${z} is not final`; return; }
      setMoment(finalAtOperation, `z ${z} became final`);
    } catch (error) { get('as-of-text').value = error.message; return; }
  }
  showSection();
  if (view.chosen !== null) choose(view.chosen);
}

// Segments

/** The segment under a point of the screen; 0n for none. */
async function segmentAt(event) {
  const {shown} = view;
  if (!shown?.section.levels || shown.section.segmentation === undefined) return 0n;
  const {height, width} = shown.section;
  const box = canvas.getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left - box.width / 2) / view.scale + view.centre[1]);
  const y = Math.floor((event.clientY - box.top - box.height / 2) / view.scale + view.centre[0]);
  if (x < 0 || y < 0 || x >= width || y >= height) return 0n;
  const [tileY, tileX] = [Math.floor(y / side), Math.floor(x / side)];
  const labels = await tile(view.volume, shown, 'labels', 0, tileY, tileX);
  return shown.table.segments[labels[(y - tileY * side) * Math.min(side, width - tileX * side) + x - tileX * side]] ?? 0n;
}

let chosenLast = 0;
async function choose(id) {
  const mine = chosenLast += 1;
  view.chosen = id === 0n ? null : id;
  requestDraw();
  get('segment').hidden = id === 0n;
  if (id === 0n) { say('No segment there.'); return; }
  const moment = view.asOf === null ? '' : `&as_of=${view.asOf}`;
  try {
    const [facts, events] = await Promise.all([
      ask(api(view.volume, `/segments/${id}?${moment}`)), ask(api(view.volume, `/segments/${id}/history?limit=200${moment}`))]);
    if (mine !== chosenLast) return;
    showFacts(facts);
    get('history-title').textContent = events.length < 200 ? 'History' : 'History, the last 200 events';
    get('history').replaceChildren(...events.reverse().map((event) => historyItem(facts.segmentId, event)));
  } catch (error) {
    say(error.message);
  }
}

function showFacts(facts) {
  const name = element('dd', undefined, {id: 'segment-id'});
  const swatch = element('span', undefined, {class: 'swatch'});
  swatch.style.background = facts.color;
  name.append(swatch, facts.segmentId);
  const rows = [['segment', name], ['state', element('dd', facts.state)]];
  if (facts.successorId) { const now = element('dd'); now.append(link(facts.successorId, () => goNow(facts.successorId))); rows.push(['now part of', now]); }
  if (facts.sizeVoxels !== undefined) {
    const [z, y, x] = facts.centroid;
    const centre = element('dd');
    centre.append(link(`z ${z.toFixed(0)}, y ${y.toFixed(0)}, x ${x.toFixed(0)}`, () => { view.centre = [y, x]; goTo(Math.round(z)); }));
    rows.push(
      ['size', element('dd', `${counted(facts.sizeVoxels, 'voxel')}, ${facts.volumeUm3.toPrecision(3)} µm³`)],
      ['sections', element('dd', `${facts.sections}, z ${facts.firstZ} to ${facts.lastZ}`)],
      ['fragments', element('dd', whole(facts.fragments))], ['centre', centre]);
  }
  get('facts').replaceChildren(...rows.flatMap(([term, value]) => [element('dt', term), value]));
}

/** One event, in words. A segment that became part of another is shown as it was before that. */
function historyItem(id, event) {
  const item = element('li');
  const {event: kind, segmentId, otherSegmentId: other, z, operationId} = event;
  const named = (one) => one === id ? 'it' : link(one, () => goNow(one));
  const former = (one) => one === id ? 'it' : link(one, () => goBefore(operationId, one, z));
  if (kind === 'merged') item.append(former(other), ' became part of ', named(segmentId));
  else if (kind === 'split') item.append('a part of ', named(segmentId), ' became ', named(other));
  else if (kind === 'revised' && other && other !== segmentId) item.append(former(other), ' went on as ', named(segmentId));
  else if (kind === 'settled') item.append('the provisional ', former(segmentId), ' turned out to be ', named(other));
  else item.append(named(segmentId), ` ${{born: 'was born', grown: 'grew', revised: 'was revised', corrected: 'was corrected'}[kind] ?? kind}`);
  item.append(` at z ${z}`);
  if (event.score !== undefined) item.append(`, score ${event.score.toFixed(2)}`);
  item.append(element('small', `${time(event.at)}, operation ${operationId}` + (kind === 'corrected' ? ` by ${event.actor}` : '')));
  return item;
}

function goNow(id) {
  setMoment(null, 'now');
  showSection();
  choose(BigInt(id));
}

function goBefore(operation, id, z) {
  setMoment(operation - 1, `before operation ${operation}`);
  goTo(z);
  choose(BigInt(id));
}

function link(text, action) {
  const button = element('button', text, {class: 'link', type: 'button'});
  button.addEventListener('click', action);
  return button;
}

// Volumes

function setRange(volume) {
  for (const id of ['z', 'z-range', 'as-of']) { get(id).min = volume.firstZ ?? 0; get(id).max = volume.lastZ ?? 0; }
}

function chooseVolume({volume: name, z, asOf}) {
  const volume = volumes.find((one) => one.name === name) ?? volumes[0];
  if (!volume) { say('There is no volume yet.'); return; }
  if (view.volume !== volume.name) Object.assign(view, {volume: volume.name, centre: null, chosen: null, shown: null});
  get('volume').value = volume.name;
  setRange(volume);
  get('as-of').value = volume.lastZ ?? 0;
  setMoment(asOf, asOf === null ? 'now' : `after operation ${asOf}`);
  if (volume.firstZ === undefined) { view.z = 0; say(`Volume ${volume.name} has no section yet.`); requestDraw(); return; }
  goTo(z ?? Math.floor((volume.firstZ + volume.lastZ) / 2));
}

/** What the daemon has by now. */
async function follow() {
  if (document.hidden) return;
  try {
    volumes = await ask('/api/v1/volumes');
    const volume = volumeNow();
    if (!volume || volume.firstZ === undefined) { chooseVolume(place()); return; }
    setRange(volume);
    if (view.asOf === null) showSection();
  } catch (error) { say(error.message); }
}

function zoom(factor, event) {
  if (!view.centre) return;
  const box = canvas.getBoundingClientRect();
  const [dx, dy] = event ? [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2] : [0, 0];
  const scale = Math.max(.005, Math.min(32, view.scale * factor));
  view.centre = [view.centre[0] + dy / view.scale - dy / scale, view.centre[1] + dx / view.scale - dx / scale];
  view.scale = scale;
  requestDraw();
}

let drag = null;
canvas.addEventListener('pointerdown', (event) => { drag = {x: event.clientX, y: event.clientY, centre: view.centre, moved: false}; canvas.setPointerCapture(event.pointerId); });
canvas.addEventListener('pointermove', (event) => {
  if (!drag?.centre) return;
  const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
  if (Math.abs(dx) + Math.abs(dy) > 3) drag.moved = true;
  view.centre = [drag.centre[0] - dy / view.scale, drag.centre[1] - dx / view.scale];
  requestDraw();
});
canvas.addEventListener('pointerup', async (event) => {
  const wasDrag = drag?.moved;
  drag = null;
  if (wasDrag) return;
  try { choose(await segmentAt(event)); } catch (error) { say(error.message); }
});
canvas.addEventListener('wheel', (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), event); }, {passive: false});
canvas.addEventListener('keydown', (event) => {
  const step = 60 / view.scale;
  const moves = {ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step]};
  if (event.key in moves && view.centre) { view.centre = [view.centre[0] + moves[event.key][0], view.centre[1] + moves[event.key][1]]; requestDraw(); }
  else if (event.key === '+' || event.key === '=') zoom(1.4);
  else if (event.key === '-') zoom(1 / 1.4);
  else if (event.key === '0' && view.shown?.section.height) { fit(); requestDraw(); }
  else if (event.key === ',') goTo(view.z - 1);
  else if (event.key === '.') goTo(view.z + 1);
  else if (event.key === 'Enter') {
    const box = canvas.getBoundingClientRect();
    segmentAt({clientX: box.left + box.width / 2, clientY: box.top + box.height / 2}).then(choose, (error) => say(error.message));
  } else return;
  event.preventDefault();
});
get('volume').addEventListener('change', () => chooseVolume({volume: get('volume').value, z: null, asOf: null}));
get('z').addEventListener('change', () => goTo(Number(get('z').value)));
get('z-range').addEventListener('input', () => goTo(Number(get('z-range').value)));
for (const id of ['layer', 'opacity']) get(id).addEventListener('input', requestDraw);
get('as-of-on').addEventListener('change', chooseMoment);
get('as-of').addEventListener('change', chooseMoment);
addEventListener('resize', requestDraw);
addEventListener('hashchange', () => { if (location.hash !== address()) chooseVolume(place()); });

(async () => {
  try {
    volumes = await ask('/api/v1/volumes');
    get('volume').replaceChildren(...volumes.map((one) => element('option', one.name, {value: one.name})));
    chooseVolume(place());
  } catch (error) { say(error.message); }
  setInterval(follow, 4000);
})();
