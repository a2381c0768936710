'use strict';

const stateNames = {f: 'final', p: 'provisional', a: 'at work', r: 'waits', w: 'waited for', s: 'set aside', m: 'missing', '.': 'not there'};
const stateColours = {
  f: '--final', p: '--provisional', a: '--work', r: '--received', w: '--awaited', s: '--alarm', m: '--missing', '.': '--absent',
};
/** Where a pixel stands for several sections, it shows the one that most wants a look. */
const worst = 'swmarp.f';
const advice = {
  intake: 'mount the folder or make it again; files that were moved away on purpose need nothing',
  database: 'start the server, or free room on its disk', disk: 'free some room on the disk of the state directory',
  stage: 'mend the stage, file or row that the text names; if it stays, restart the daemon and report it',
};
const cards = new Map();
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

function card(name) {
  if (cards.has(name)) return cards.get(name);
  const node = document.getElementById('volume').content.firstElementChild.cloneNode(true);
  node.querySelector('h2').textContent = name;
  const legend = node.querySelector('.legend');
  for (const [letter, text] of Object.entries(stateNames)) {
    const key = element('i');
    key.style.background = `var(${stateColours[letter]})`;
    legend.append(key, text);
  }
  const links = node.querySelector('.links');
  links.append(element('a', 'look at sections', {href: `/view#${encodeURIComponent(name)}`}), ' · ');
  const neuroglancer = element('a', 'Neuroglancer', {target: '_blank', rel: 'noreferrer'});
  links.append(neuroglancer);
  document.getElementById('volumes').append(node);
  const made = {name, node, neuroglancer, strip: null, chosen: null, awaited: [], atWork: []};
  cards.set(name, made);
  const canvas = node.querySelector('canvas');
  canvas.addEventListener('mousemove', (event) => choose(made, at(made, event)));
  canvas.addEventListener('click', (event) => { choose(made, at(made, event)); open(made); });
  canvas.addEventListener('keydown', (event) => {
    if (!made.strip || made.strip.firstZ === undefined) return;
    const steps = {ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10};
    const last = made.strip.firstZ + made.strip.states.length - 1;
    if (event.key in steps) choose(made, (made.chosen ?? last) + steps[event.key]);
    else if (event.key === 'Home') choose(made, made.strip.firstZ);
    else if (event.key === 'End') choose(made, last);
    else if (event.key === 'Enter') open(made);
    else return;
    event.preventDefault();
  });
  return made;
}

function at(card, event) {
  if (card.strip?.firstZ === undefined) return 0;
  const box = event.target.getBoundingClientRect();
  return card.strip.firstZ + Math.floor((event.clientX - box.left) / box.width * card.strip.states.length);
}

function choose(card, z) {
  const {firstZ, states} = card.strip ?? {};
  if (firstZ === undefined) return;
  card.chosen = Math.max(firstZ, Math.min(z, firstZ + states.length - 1));
  const text = `z ${card.chosen}: ${stateNames[letter(card, card.chosen - firstZ)]}`;
  card.node.querySelector('.strip-text').textContent = text;
  const canvas = card.node.querySelector('canvas');
  canvas.setAttribute('aria-valuemin', firstZ);
  canvas.setAttribute('aria-valuemax', firstZ + states.length - 1);
  canvas.setAttribute('aria-valuenow', card.chosen);
  canvas.setAttribute('aria-valuetext', text);
  drawStrip(card);
}

function open(card) {
  if (card.chosen !== null) location.href = `/view#${encodeURIComponent(card.name)}/${card.chosen}`;
}

function letter(card, index) {
  const state = card.strip.states[index];
  const z = card.strip.firstZ + index;
  if (state === '.' && card.awaited.some(([first, last]) => first <= z && z <= last)) return 'w';
  return (state === 'r' || state === 'p') && card.atWork.includes(z) ? 'a' : state;
}

function drawStrip(card) {
  const canvas = card.node.querySelector('canvas');
  const ratio = devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = 28 * ratio;
  const context = canvas.getContext('2d');
  const {states, firstZ} = card.strip;
  for (let x = 0; x < canvas.width; x += 1) {
    const from = Math.floor(x / canvas.width * states.length);
    const until = Math.max(from + 1, Math.floor((x + 1) / canvas.width * states.length));
    let shown = letter(card, from);
    for (let k = from + 1; k < until; k += 1) {
      const other = letter(card, k);
      if (worst.indexOf(other) < worst.indexOf(shown)) shown = other;
    }
    context.fillStyle = colour(stateColours[shown]);
    context.fillRect(x, 0, 1, canvas.height);
  }
  // Where there is room, each section is a field of its own.
  const step = canvas.width / states.length;
  context.fillStyle = colour('--card');
  if (step >= 6 * ratio) for (let k = 1; k < states.length; k += 1) context.fillRect(Math.round(k * step), 0, ratio, canvas.height);
  const [first, , last] = card.node.querySelectorAll('.strip-ends span');
  first.textContent = `z ${firstZ}`;
  last.textContent = `z ${firstZ + states.length - 1}`;
  if (card.chosen !== null) {
    context.fillStyle = colour('--ink');
    context.fillRect((card.chosen - firstZ + .5) / states.length * canvas.width - ratio, 0, 2 * ratio, canvas.height);
  }
}

function svg(name, attributes, text) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function bars(node, rows, label) {
  const most = Math.max(1, ...rows.flat());
  const count = rows[0].length;
  const width = 480 / count / rows.length;
  const parts = [];
  rows.forEach((row, k) => row.forEach((value, i) => {
    const height = value / most * 100;
    if (value) parts.push(svg('rect', {class: 'ab'[k], x: (i * rows.length + k) * width, y: 118 - height, width: Math.max(width - .5, .5), height}));
  }));
  parts.push(svg('text', {x: 4, y: 12}, `most: ${whole(most)}`));
  node.setAttribute('aria-label', label);
  node.replaceChildren(...parts);
}

function line(node, points, label) {
  const most = Math.max(1, ...points.map((point) => point[1]));
  const [first, last] = [points[0]?.[0] ?? 0, points.at(-1)?.[0] ?? 1];
  const path = points.map(([x, y], i) =>
    `${i ? 'L' : 'M'}${((x - first) / Math.max(last - first, 1) * 478 + 1).toFixed(1)} ${(118 - Math.max(y, 0) / most * 100).toFixed(1)}`);
  node.setAttribute('aria-label', label);
  node.replaceChildren(
    svg('path', {class: 'line', d: path.join('')}), svg('text', {x: 4, y: 12}, `most: ${whole(most)}`),
    svg('text', {x: 476, y: 12, 'text-anchor': 'end'}, `z ${first} to ${last}`));
}

function stages(node, list) {
  const step = 116 / Math.max(list.length, 1);
  const parts = list.flatMap((stage, i) => [
    svg('rect', {class: 'b', x: 110, y: 2 + i * step + 1, width: 330 * Math.min(stage.share, 1), height: Math.max(step - 3, 1)}),
    svg('text', {x: 104, y: 2 + i * step + step / 2 + 4, 'text-anchor': 'end'}, stage.name),
    svg('text', {x: 114 + 330 * Math.min(stage.share, 1), y: 2 + i * step + step / 2 + 4}, `${Math.round(stage.share * 100)} %`),
  ]);
  node.setAttribute('aria-label', list.map((stage) => `${stage.name} ${Math.round(stage.share * 100)} per cent`).join(', '));
  node.replaceChildren(...parts);
}

let told = null;
/** Whether the daemon works, or has said nothing for long: it says something every second. */
function showState() {
  if (!told) return;
  const silent = (performance.now() - told.at) / 1000;
  const {state, waitingFiles, startedAt} = told.status;
  document.getElementById('state').textContent = silent > 60 ? `has told nothing for ${whole(silent)} s`
    : `${state} since ${moment(startedAt)}, ${counted(waitingFiles, 'file')} waiting`;
}

/** What the daemon says of itself, whenever it changes. */
function showStatus(status) {
  told = {status, at: performance.now()};
  showState();
  const alarms = document.getElementById('alarms');
  alarms.hidden = status.alarms.length === 0;
  alarms.querySelector('ul').replaceChildren(...status.alarms.map((alarm) =>
    element('li', `${alarm.kind}: ${alarm.text}. What to do: ${advice[alarm.kind] ?? 'see docs/operations.md'}. Since ${moment(alarm.since)}.`)));
  for (const volume of status.volumes) {
    const {node} = card(volume.name);
    const made = card(volume.name);
    made.awaited = volume.awaited;
    made.atWork = volume.atWork;
    const {activity} = volume;
    const facts = node.querySelector('.facts');
    facts.replaceChildren(
      `${counted(volume.final, 'section')} final, ${whole(volume.provisional)} provisional, ${whole(volume.received)} waiting, ${whole(volume.missing)} missing, ${whole(volume.sectionsSetAside)} set aside; ${whole(activity.sectionsPerHour)} sections an hour; `,
      element('span', activity.keepsUp ? 'keeps up' : 'FALLS BEHIND', activity.keepsUp ? {} : {class: 'behind'}),
      activity.bottleneck ? `; the bottleneck is ${activity.bottleneck}` : '');
    const holes = volume.awaited.slice(0, 10).map(([first, last]) => first === last ? first : `${first} to ${last}`);
    if (holes.length) facts.append(`; waits for ${counted(volume.awaitedCount, 'section')}: z ${holes.join(', ')}`);
    if (volume.doubt) facts.append(element('span', `; ${volume.doubt}`, {class: 'behind'}));
    stages(node.querySelector('.stages'), activity.stages);
    if (made.strip?.firstZ !== undefined) drawStrip(made);
  }
}

/** What is in the record: asked for again every few seconds. */
async function refresh() {
  if (document.hidden) return;
  showState();
  try {
    const disk = await ask('/api/v1/disk');
    document.getElementById('disk').textContent = `${bytes(disk.free)} free of ${bytes(disk.size)}`;
    const viewer = await ask('/api/v1/viewer');
    for (const volume of await ask('/api/v1/volumes')) {
      const made = card(volume.name);
      made.neuroglancer.href = neuroglancer(viewer.neuroglancer, volume);
      if (volume.firstZ === undefined) continue;
      const [strip, rates, events] = await Promise.all([
        ask(api(volume.name, '/sections')), ask(api(volume.name, '/rates?bucket_seconds=300&buckets=48')),
        ask(api(volume.name, '/events-by-section'))]);
      made.strip = strip;
      if (strip.firstZ !== undefined) drawStrip(made);
      bars(made.node.querySelector('.rates'), [rates.received, rates.segmented], 'sections received and segmented in spans of five minutes');
      let alive = 0;
      line(made.node.querySelector('.born'), events.sections.map((one) => [one.z, alive += one.born + one.split - one.merged]), 'segments over z');
      line(made.node.querySelector('.merged'), events.sections.map((one) => [one.z, one.merged]), 'merges over z');
      const notes = made.node.querySelector('.notes');
      notes.hidden = strip.notes.length === 0;
      notes.querySelector('summary').textContent = counted(strip.notes.length, 'section with a warning', 'sections with a warning');
      notes.querySelector('ul').replaceChildren(...strip.notes.map((note) => element('li', `z ${note.z}: ${note.text}`)));
    }
    const files = await ask('/api/v1/quarantine');
    document.querySelector('#quarantine .none').hidden = files.length > 0;
    document.querySelector('#quarantine table').hidden = files.length === 0;
    document.querySelector('#quarantine tbody').replaceChildren(...files.map((file) => {
      const row = element('tr');
      row.append(element('td', file.path), element('td', file.reason), element('td', time(file.noticedAt)));
      return row;
    }));
    document.body.dataset.state = 'shown';
  } catch (error) {
    document.getElementById('state').textContent = error.message;
  }
}

/** A link to Neuroglancer with both layers and the voxel size. */
function neuroglancer(viewer, volume) {
  const [z, y, x] = volume.voxelSizeNm;
  const source = (kind) => `precomputed://${location.origin}/precomputed/${encodeURIComponent(volume.name)}/${kind}`;
  const state = {
    dimensions: {x: [x * 1e-9, 'm'], y: [y * 1e-9, 'm'], z: [z * 1e-9, 'm']},
    position: [(volume.width ?? 0) / 2, (volume.height ?? 0) / 2, Math.floor(((volume.firstZ ?? 0) + (volume.lastZ ?? 0)) / 2) + .5],
    crossSectionScale: Math.max(volume.width ?? 1, volume.height ?? 1) / 700, layout: 'xy',
    layers: [
      {type: 'image', source: source('image'), name: 'image'},
      {type: 'segmentation', source: source('segmentation'), name: 'segments', selectedAlpha: .35, notSelectedAlpha: .25},
    ],
  };
  return `${viewer}#!${encodeURIComponent(JSON.stringify(state))}`;
}

function listen() {
  const events = new EventSource('/api/v1/events');
  events.addEventListener('status', (event) => showStatus(JSON.parse(event.data)));
  events.onerror = () => { document.getElementById('state').textContent = 'the daemon does not answer; trying again'; };
}

refresh();
listen();
setInterval(refresh, 5000);
addEventListener('resize', () => { for (const made of cards.values()) if (made.strip?.firstZ !== undefined) drawStrip(made); });
