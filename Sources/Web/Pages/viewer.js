'use strict';

const side = 256;
const get = (id) => document.getElementById(id);
const canvas = get('view');
const context = canvas.getContext('2d');
/** What is shown: `centre` in pixels of the section, `scale` screen pixels for each of them. */
const view = {volume: null, z: 0, centre: null, scale: 1, asOf: null, chosen: null};
let volumes = [];
let section = null; // of view.z
let table = null; // {segments: BigUint64Array, colours: Uint8Array} by label
const raw = new Map(); // tiles as they came: promise by address
const drawn = new Map(); // tiles as they are shown
let asked = 0; // the last request for a section; answers to earlier ones are dropped

function keep(map, key, value, most) {
  map.delete(key);
  map.set(key, value);
  while (map.size > most) map.delete(map.keys().next().value);
}

function tile(layer, level, y, x) {
  const path = api(view.volume, `/sections/${view.z}/tiles/${layer}/${level}/${y}/${x}`);
  if (!raw.has(path)) {
    const promise = ask(path, 'bytes').catch((error) => { raw.delete(path); throw error; });
    promise.catch(() => {});
    keep(raw, path, promise, 1500);
  }
  return raw.get(path);
}

const levelSize = (level) => [Math.ceil(section.height / 2 ** level), Math.ceil(section.width / 2 ** level)];

/** The picture of a tile, or null while its parts are on their way. */
function picture(level, y, x) {
  const layer = get('layer').value;
  const opacity = get('opacity').value / 100;
  const key = [view.volume, view.z, section.revision, view.asOf, level, y, x, layer, opacity, view.chosen, table?.key].join('/');
  const known = drawn.get(key);
  if (known) { keep(drawn, key, known, 600); return known === 'coming' ? null : known; }
  keep(drawn, key, 'coming', 600);
  const names = {affinity: ['affinity-y', 'affinity-x'], 'affinity-z': ['affinity-z']}[layer] ?? [];
  const needsLabels = layer === 'segments' || layer === 'outlines';
  Promise.all([
    tile('image', level, y, x),
    needsLabels && table ? tile('labels', level, y, x) : null,
    ...names.map((name) => tile(name, level, y, x)),
  ]).then(([image, labels, ...affinities]) => {
    const [height, width] = levelSize(level);
    const made = paint(
      Math.min(side, height - y * side), Math.min(side, width - x * side), new Uint8Array(image),
      labels && new Uint32Array(labels), affinities.map((one) => new Uint8Array(one)), layer, opacity);
    keep(drawn, key, made, 600);
    requestDraw();
  }).catch((error) => { drawn.delete(key); get('message').textContent = error.message; });
  return null;
}

function paint(height, width, image, labels, affinities, layer, opacity) {
  const made = new OffscreenCanvas(width, height);
  const pixels = new ImageData(width, height);
  const out = pixels.data;
  for (let i = 0; i < width * height; i += 1) {
    let [red, green, blue] = [image[i], image[i], image[i]];
    if (labels) {
      const label = labels[i];
      const isBorder = label !== (i % width ? labels[i - 1] : label) && segment(label) !== segment(labels[i - 1])
        || i >= width && label !== labels[i - width] && segment(label) !== segment(labels[i - width]);
      const own = segment(label);
      let share = layer === 'outlines' ? (isBorder ? 1 : 0) : isBorder ? Math.min(1, opacity + .3) : opacity;
      if (own === 0n) share = 0;
      if (view.chosen !== null && own === view.chosen) share = Math.max(share, .7);
      if (share > 0) {
        red += (table.colours[4 * label] - red) * share;
        green += (table.colours[4 * label + 1] - green) * share;
        blue += (table.colours[4 * label + 2] - blue) * share;
      }
    } else if (affinities.length) {
      const low = Math.min(...affinities.map((one) => one[i]));
      const share = (255 - low) / 255 * Math.min(1, opacity * 2);
      [red, green, blue] = [red + (255 - red) * share, green * (1 - share), blue * (1 - share)];
    }
    out[4 * i] = red; out[4 * i + 1] = green; out[4 * i + 2] = blue; out[4 * i + 3] = 255;
  }
  made.getContext('2d').putImageData(pixels, 0, 0);
  return made;
}

const segment = (label) => table && label < table.segments.length ? table.segments[label] : 0n;

let isWaiting = false;
function requestDraw() {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => { isWaiting = false; draw(); });
}

function draw() {
  const ratio = devicePixelRatio || 1;
  const [wide, high] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
  context.fillStyle = '#101214';
  context.fillRect(0, 0, wide, high);
  if (!section?.height || !view.centre) return;
  const scale = view.scale * ratio;
  const level = Math.max(0, Math.min(section.levels - 1, Math.floor(Math.log2(1 / scale) + .25)));
  context.imageSmoothingEnabled = scale < 3;
  // Coarser tiles first: they are there at once and stand in for what is on its way.
  for (const shown of level < section.levels - 1 ? [section.levels - 1, level] : [level]) {
    const [height, width] = levelSize(shown);
    const size = side * 2 ** shown * scale;
    const [left, top] = [wide / 2 - view.centre[1] * scale, high / 2 - view.centre[0] * scale];
    for (let y = Math.max(0, Math.floor(-top / size)); y * side < height && top + y * size < high; y += 1) {
      for (let x = Math.max(0, Math.floor(-left / size)); x * side < width && left + x * size < wide; x += 1) {
        const made = picture(shown, y, x);
        if (made) context.drawImage(made, left + x * size, top + y * size, made.width * 2 ** shown * scale + .5, made.height * 2 ** shown * scale + .5);
      }
    }
  }
}

async function showSection() {
  const mine = asked += 1;
  history.replaceState(null, '', `#${encodeURIComponent(view.volume)}/${view.z}`);
  get('z').value = get('z-range').value = view.z;
  try {
    const found = await ask(api(view.volume, `/sections/${view.z}`));
    const query = view.asOf === null ? '' : `?as_of=${view.asOf}`;
    const bytes = found.height ? await ask(api(view.volume, `/sections/${view.z}/segments${query}`), 'bytes').catch(() => null) : null;
    if (mine !== asked) return;
    section = found;
    if (bytes && bytes.byteLength) {
      const count = bytes.byteLength / 12;
      table = {key: `${view.z}@${view.asOf}#${Date.now()}`, segments: new BigUint64Array(bytes, 0, count), colours: new Uint8Array(bytes, 8 * count)};
    } else {
      table = null;
    }
    if (!view.centre && section.height) {
      view.centre = [section.height / 2, section.width / 2];
      view.scale = Math.min(canvas.clientWidth / section.width, canvas.clientHeight / section.height) || 1;
    }
    get('message').textContent = `z ${section.z}, ${section.state}` + (section.revision > 1 ? `, revision ${section.revision}` : '')
      + (section.note ? `: ${section.note}` : '') + (view.chosen === null ? '. Click on a segment.' : '');
  } catch (error) {
    if (mine !== asked) return;
    section = null;
    get('message').textContent = error.message;
  }
  requestDraw();
}

/** The segment under a point of the screen. */
async function segmentAt(event) {
  if (!section?.height || !table) return 0n;
  const box = canvas.getBoundingClientRect();
  const x = Math.floor((event.clientX - box.left - box.width / 2) / view.scale + view.centre[1]);
  const y = Math.floor((event.clientY - box.top - box.height / 2) / view.scale + view.centre[0]);
  if (x < 0 || y < 0 || x >= section.width || y >= section.height) return 0n;
  const [tileY, tileX] = [Math.floor(y / side), Math.floor(x / side)];
  const labels = new Uint32Array(await tile('labels', 0, tileY, tileX));
  return segment(labels[(y - tileY * side) * Math.min(side, section.width - tileX * side) + x - tileX * side]);
}

async function choose(id) {
  view.chosen = id === 0n ? null : id;
  requestDraw();
  const facts = get('facts');
  facts.replaceChildren();
  get('history').replaceChildren();
  get('history-title').hidden = id === 0n;
  if (id === 0n) { get('message').textContent = 'No segment there.'; return; }
  try {
    const [found, events] = await Promise.all([
      ask(api(view.volume, `/segments/${id}`)), ask(api(view.volume, `/segments/${id}/lineage?limit=200`))]);
    get('message').textContent = '';
    const name = element('dd');
    const swatch = element('span', undefined, {class: 'swatch'});
    swatch.style.background = found.color;
    name.append(swatch, found.segmentId);
    facts.append(element('dt', 'segment'), name, element('dt', 'state'), element('dd', found.state));
    if (found.successorId) { const now = element('dd'); now.append(link(found.successorId)); facts.append(element('dt', 'now part of'), now); }
    if (found.sizeVoxels !== undefined) {
      for (const [key, value] of [
        ['size', `${whole(found.sizeVoxels)} voxels, ${found.volumeUm3.toPrecision(4)} µm³`], ['sections', `z ${found.firstZ} to ${found.lastZ}, ${whole(found.sections)} of them`],
        ['fragments', whole(found.fragments)], ['centre', found.centroid.map((one) => one.toFixed(1)).join(', ') + ' (z, y, x)'],
      ]) facts.append(element('dt', key), element('dd', value));
    }
    get('history').replaceChildren(...events.map((event) => {
      const item = element('li', `${event.event}, z ${event.z}`);
      if (event.otherSegmentId && event.otherSegmentId !== event.segmentId) {
        item.append(event.segmentId === found.segmentId ? ', with ' : ', into ', link(event.segmentId === found.segmentId ? event.otherSegmentId : event.segmentId));
      }
      if (event.score !== undefined) item.append(`, score ${event.score.toFixed(3)}`);
      item.append(`, ${event.at.slice(0, 19)}`);
      return item;
    }));
  } catch (error) {
    get('message').textContent = error.message;
  }
}

function link(id) {
  const button = element('button', id, {class: 'link', type: 'button'});
  button.addEventListener('click', () => choose(BigInt(id)));
  return button;
}

function goTo(z) {
  const volume = volumes.find((one) => one.name === view.volume);
  view.z = Math.max(volume.firstZ ?? 0, Math.min(z, volume.lastZ ?? 0));
  showSection();
}

async function setAsOf() {
  const isOn = get('as-of-on').checked;
  get('as-of').disabled = !isOn;
  if (!isOn) { view.asOf = null; get('as-of-text').value = 'now'; return showSection(); }
  const z = Number(get('as-of').value);
  get('as-of-text').value = `z ${z}`;
  try {
    const found = await ask(api(view.volume, `/sections/${z}`));
    view.asOf = found.finalAtOperation ?? null;
    if (view.asOf === null) get('as-of-text').value = `z ${z}: not final, shown as now`;
  } catch (error) {
    get('as-of-text').value = error.message;
  }
  showSection();
}

function chooseVolume(name, z) {
  const volume = volumes.find((one) => one.name === name) ?? volumes[0];
  if (!volume) { get('message').textContent = 'No volume yet.'; return; }
  if (view.volume !== volume.name) Object.assign(view, {volume: volume.name, centre: null, chosen: null});
  get('volume').value = volume.name;
  for (const id of ['z', 'z-range', 'as-of']) { get(id).min = volume.firstZ ?? 0; get(id).max = volume.lastZ ?? 0; }
  get('as-of').value = volume.lastZ ?? 0;
  goTo(Number.isFinite(z) ? z : Math.floor(((volume.firstZ ?? 0) + (volume.lastZ ?? 0)) / 2));
}

function zoom(factor, event) {
  const box = canvas.getBoundingClientRect();
  const [dx, dy] = event ? [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2] : [0, 0];
  const scale = Math.max(.005, Math.min(32, view.scale * factor));
  if (!view.centre) return;
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
  try { choose(await segmentAt(event)); } catch (error) { get('message').textContent = error.message; }
});
canvas.addEventListener('wheel', (event) => { event.preventDefault(); zoom(Math.exp(-event.deltaY / 400), event); }, {passive: false});
canvas.addEventListener('keydown', (event) => {
  const step = 60 / view.scale;
  const moves = {ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step]};
  if (event.key in moves && view.centre) { view.centre = [view.centre[0] + moves[event.key][0], view.centre[1] + moves[event.key][1]]; requestDraw(); }
  else if (event.key === '+' || event.key === '=') zoom(1.4);
  else if (event.key === '-') zoom(1 / 1.4);
  else if (event.key === ',') goTo(view.z - 1);
  else if (event.key === '.') goTo(view.z + 1);
  else return;
  event.preventDefault();
});
get('volume').addEventListener('change', () => chooseVolume(get('volume').value));
get('z').addEventListener('change', () => goTo(Number(get('z').value)));
get('z-range').addEventListener('input', () => goTo(Number(get('z-range').value)));
for (const id of ['layer', 'opacity']) get(id).addEventListener('input', requestDraw);
get('as-of-on').addEventListener('change', setAsOf);
get('as-of').addEventListener('change', setAsOf);
addEventListener('resize', requestDraw);
addEventListener('hashchange', () => { const [name, z] = place(); if (name !== view.volume || z !== view.z) chooseVolume(name, z); });

function place() {
  const [name, z] = location.hash.slice(1).split('/').map(decodeURIComponent);
  return [name, z === undefined || z === '' ? NaN : Number(z)];
}

(async () => {
  try {
    volumes = await ask('/api/v1/volumes');
    get('volume').replaceChildren(...volumes.map((one) => element('option', one.name, {value: one.name})));
    chooseVolume(...place());
  } catch (error) {
    get('message').textContent = error.message;
  }
})();
