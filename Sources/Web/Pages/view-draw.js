'use strict';

const get = (id) => document.getElementById(id);
const canvas = get('view');
const context = canvas.getContext('2d');
/**
 * What is shown: `centre` in pixels of the section (y, x), `scale` screen pixels for each of them; `shown` the section with its
 * segments; `chosen` a segment's id.
 */
const view = {volume: null, z: 0, asOf: null, centre: null, scale: 1, chosen: null, shown: null};
/** Tiles as they are drawn, by everything that they depend on. */
const pictures = new Map();
let drawings = 0;

const layers = {
  affinity: ['affinity-y', 'affinity-x'], 'affinity-z': ['affinity-z'], coarse: ['coarse-y', 'coarse-x'], 'coarse-z': ['coarse-z'],
};
/** Whether a section has what an overlay of `layers` shows. */
const has = (section, layer) => Boolean(section.products) && (section.coarse || !layer.startsWith('coarse'));

/** The picture of a tile, or null while its parts are on their way. */
function picture(level, y, x) {
  const {volume, shown, chosen} = view;
  const layer = get('layer').value;
  const opacity = get('opacity').value / 100;
  const hasLabels = (layer === 'segments' || layer === 'outlines') && shown.section.segmentation !== undefined;
  const names = has(shown.section, layer) ? layers[layer] ?? [] : [];
  shown.table.id ??= drawings += 1;
  const key = [
    volume, shown.section.z, shown.section.sha256, shown.section.products, level, y, x, layer, names.length || hasLabels ? opacity : 0,
    hasLabels ? [shown.table.id, chosen] : ''].join('/');
  const known = pictures.get(key);
  if (known) { keep(pictures, key, known, 600); return known === 'coming' ? null : known; }
  keep(pictures, key, 'coming', 600);
  Promise.all([
    tile(volume, shown, 'image', level, y, x),
    hasLabels ? tile(volume, shown, 'labels', level, y, x) : null,
    ...names.map((name) => tile(volume, shown, name, level, y, x)),
  ]).then(([image, labels, ...affinities]) => {
    const [height, width] = levelSize(shown.section, level);
    const size = [Math.min(side, height - y * side), Math.min(side, width - x * side)];
    const pixels = new ImageData(size[1], size[0]);
    for (let i = 0; i < image.length; i += 1) pixels.data.set([image[i], image[i], image[i], 255], 4 * i);
    if (labels) paintSegments(pixels, labels, shown.table, layer, opacity, chosen);
    if (affinities.length) paintBorders(pixels.data, affinities, opacity);
    const made = new OffscreenCanvas(size[1], size[0]);
    made.getContext('2d').putImageData(pixels, 0, 0);
    keep(pictures, key, made, 600);
    requestDraw();
  }).catch((error) => {
    // What is gone is asked for again; what failed is tried again a little later.
    setTimeout(() => { pictures.delete(key); requestDraw(); }, 2000);
    if (error.status === 409) refreshSection();
    else say(error.message);
  });
  return null;
}

/** Segments over the image, their borders stronger; the chosen one strongest. */
function paintSegments(pixels, labels, table, layer, opacity, chosen) {
  const {data, width} = pixels;
  const {groups, colours} = table;
  const wanted = chosen === null ? -1 : table.numbers.get(chosen) ?? -1;
  for (let i = 0; i < labels.length; i += 1) {
    const label = labels[i];
    const own = groups[label] ?? 0;
    if (own === 0) continue;
    const isBorder = (i % width > 0 && (groups[labels[i - 1]] ?? 0) !== own) || (i >= width && (groups[labels[i - width]] ?? 0) !== own)
      || (i % width < width - 1 && (groups[labels[i + 1]] ?? 0) !== own) || (i + width < labels.length && (groups[labels[i + width]] ?? 0) !== own);
    let share = layer === 'outlines' ? (isBorder ? 1 : 0) : isBorder ? Math.min(1, opacity + .3) : opacity;
    if (own === wanted) share = isBorder ? 1 : Math.max(share, .7);
    if (share === 0) continue;
    for (let c = 0; c < 3; c += 1) data[4 * i + c] += (colours[4 * label + c] - data[4 * i + c]) * share;
  }
}

/** Low affinities, the borders, in red. */
function paintBorders(data, affinities, opacity) {
  for (let i = 0; i < affinities[0].length; i += 1) {
    let low = 255;
    for (const one of affinities) low = Math.min(low, one[i]);
    const share = (255 - low) / 255 * Math.min(1, opacity * 2);
    data[4 * i] += (255 - data[4 * i]) * share;
    data[4 * i + 1] *= 1 - share;
    data[4 * i + 2] *= 1 - share;
  }
}

let isWaiting = false;
function requestDraw() {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => { isWaiting = false; draw(); });
}

/** Calls `body` with each tile of a level that is on the screen: its row and column, and where it lies. */
function eachTile(level, ratio, body) {
  const scale = view.scale * ratio;
  const [height, width] = levelSize(view.shown.section, level);
  const size = side * 2 ** level * scale;
  const [left, top] = [canvas.width / 2 - view.centre[1] * scale, canvas.height / 2 - view.centre[0] * scale];
  for (let y = Math.max(0, Math.floor(-top / size)); y * side < height && top + y * size < canvas.height; y += 1) {
    for (let x = Math.max(0, Math.floor(-left / size)); x * side < width && left + x * size < canvas.width; x += 1) {
      body(y, x, left + x * size, top + y * size);
    }
  }
}

/** The level whose pixels are about as large as those of the screen. */
function levelFor(section, ratio) {
  return Math.max(0, Math.min(section.levels - 1, Math.floor(Math.log2(1 / (view.scale * ratio)) + .25)));
}

function draw() {
  const ratio = devicePixelRatio || 1;
  const [wide, high] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
  const section = view.shown?.section;
  canvas.dataset.state = 'drawn';
  if (!section?.levels || !view.centre) {
    context.fillStyle = '#101214';
    context.fillRect(0, 0, wide, high);
    return;
  }
  const level = levelFor(section, ratio);
  const found = [];
  let isWhole = true;
  // Coarser tiles stand in for what is on its way.
  for (const one of level < section.levels - 1 ? [section.levels - 1, level] : [level]) {
    eachTile(one, ratio, (y, x, left, top) => {
      const made = picture(one, y, x);
      if (made) found.push([made, left, top, 2 ** one * view.scale * ratio]);
      else if (one === level) isWhole = false;
    });
  }
  if (!isWhole) canvas.dataset.state = 'coming';
  // The section before stays until something of this one is there.
  if (found.length === 0) return;
  context.fillStyle = '#101214';
  context.fillRect(0, 0, wide, high);
  context.imageSmoothingEnabled = view.scale * ratio < 3;
  for (const [made, left, top, scale] of found) context.drawImage(made, left, top, made.width * scale + .5, made.height * scale + .5);
}
