'use strict';

/** Pixels of a tile's side. */
const side = 256;
/** What came: tiles by address, and sections by z and moment. The oldest go first. */
const tiles = new Map();
const sections = new Map();

function keep(map, key, value, most) {
  map.delete(key);
  map.set(key, value);
  while (map.size > most) map.delete(map.keys().next().value);
}

/**
 * The segments of a section: `groups`, `segments` and `colours` by label. A group is a small number that stands for a segment,
 * 0 for none.
 */
function tableFrom(buffer) {
  const count = buffer.byteLength / 12;
  const segments = new BigUint64Array(buffer, 0, count);
  const numbers = new Map([[0n, 0]]);
  const groups = Uint32Array.from(segments, (segment) => {
    if (!numbers.has(segment)) numbers.set(segment, numbers.size);
    return numbers.get(segment);
  });
  return {segments, groups, numbers, colours: new Uint8Array(buffer, 8 * count)};
}

const none = () => tableFrom(new ArrayBuffer(12));

/**
 * A section with its segments at a moment (`asOf` null: now). What is asked for twice within three seconds is asked once.
 */
function load(volume, z, asOf) {
  const key = [volume, z, asOf].join('/');
  const known = sections.get(key);
  if (known && (asOf !== null || performance.now() - known.at < 3000)) return known.promise;
  const moment = asOf === null ? '' : `as_of=${asOf}`;
  const promise = (async () => {
    const section = await ask(api(volume, `/sections/${z}?${moment}`));
    if (section.segmentation === undefined) return {section, table: none()};
    const before = known && await known.promise.catch(() => null);
    const query = `segmentation=${section.segmentation}&${moment}`;
    const table = tableFrom(await ask(api(volume, `/sections/${z}/segments?${query}`), 'bytes'));
    // The same segments keep their table, so what is drawn by it stays.
    if (before?.section.segmentation === section.segmentation && same(before.table.segments, table.segments)) {
      return {section, table: before.table};
    }
    return {section, table};
  })();
  promise.catch(() => sections.delete(key));
  keep(sections, key, {promise, at: performance.now()}, 40);
  return promise;
}

function same(one, other) {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}

/** A tile of a layer: bytes, or for `labels` 32-bit numbers. */
function tile(volume, shown, layer, level, y, x) {
  const {section, asOf} = shown;
  let path = api(volume, `/sections/${section.z}/tiles/${layer}/${level}/${y}/${x}`);
  let version = section.sha256;
  if (layer === 'labels') {
    path += `?segmentation=${section.segmentation}` + (asOf === null ? '' : `&as_of=${asOf}`);
    version = section.segmentation;
  } else if (layer !== 'image') {
    version = section.products;
  }
  const key = `${path}#${version}`;
  if (!tiles.has(key)) {
    const promise = ask(path, 'bytes').then((buffer) => layer === 'labels' ? new Uint32Array(buffer) : new Uint8Array(buffer));
    promise.catch(() => tiles.delete(key));
    keep(tiles, key, promise, 1500);
  }
  return tiles.get(key);
}

/** Rows and columns of a section at a level. */
const levelSize = (section, level) => [Math.ceil(section.height / 2 ** level), Math.ceil(section.width / 2 ** level)];
