// Writes every variant of the pixel-art avatar style as 16×16 bit masks, back to front. README.md says how to run it.
//
// The style draws rectilinear paths with whole coordinates on a 16×16 view box, so that a pixel is either inside or outside
// of a path: nothing is lost. Whatever is not of that kind stops the script.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const out = process.argv[2];
if (!out) {
  console.error('usage: node extract.mjs FILE');
  process.exit(2);
}
const style = join(dirname(fileURLToPath(import.meta.url)), 'node_modules', '@dicebear', 'pixel-art');
const version = JSON.parse(readFileSync(join(style, 'package.json'), 'utf8')).version;
const load = (...path) => import(pathToFileURL(join(style, 'lib', ...path)).href);
const SIZE = 16;

// Colours are asked for by name: the style writes "tint:hair" where it would write a colour.
const tints = ['accessories', 'clothing', 'eyes', 'glasses', 'hair', 'hat', 'mouth', 'skin'];
const colors = Object.fromEntries(tints.map((name) => [name, `tint:${name}`]));

/** The closed polygons of a path. */
function polygons(d) {
  const tokens = d.match(/[a-zA-Z]|-?\d*\.?\d+/g);
  const found = [];
  let [x, y, i, points] = [0, 0, 0, null];
  let command = '';
  while (i < tokens.length) {
    if (/[a-zA-Z]/.test(tokens[i])) command = tokens[i++];
    const number = () => {
      const value = Number(tokens[i++]);
      if (!Number.isInteger(value)) throw new Error(`coordinate ${value} of "${d}" is not whole`);
      return value;
    };
    const from = command === command.toLowerCase() ? [x, y] : [0, 0];
    switch (command.toUpperCase()) {
      case 'M':
        if (points) found.push(points);
        [x, y] = [from[0] + number(), from[1] + number()];
        points = [];
        command = command === 'm' ? 'l' : 'L';
        break;
      case 'L':
        [x, y] = [from[0] + number(), from[1] + number()];
        break;
      case 'H':
        x = from[0] + number();
        break;
      case 'V':
        y = from[1] + number();
        break;
      case 'Z':
        found.push(points);
        [x, y] = points[0];
        points = [[x, y]];
        continue;
      default:
        throw new Error(`command ${command} of "${d}"`);
    }
    const last = points.at(-1);
    if (last && last[0] !== x && last[1] !== y) throw new Error(`a slanted line in "${d}"`);
    points.push([x, y]);
  }
  if (points && points.length > 1) found.push(points);
  return found;
}

/** Which pixels a path covers: winding numbers of the pixels' centres. */
function covered(d, rule) {
  const shapes = polygons(d);
  return Array.from({ length: SIZE * SIZE }, (_, k) => {
    const [cx, cy] = [(k % SIZE) + 0.5, Math.floor(k / SIZE) + 0.5];
    let [winding, crossings] = [0, 0];
    for (const shape of shapes) {
      shape.forEach(([ax, ay], i) => {
        const [bx, by] = shape[(i + 1) % shape.length];
        if (ax === bx && ax > cx && ay > cy !== by > cy) {
          winding += by > ay ? 1 : -1;
          crossings++;
        }
      });
    }
    return rule === 'evenodd' ? crossings % 2 === 1 : winding !== 0;
  });
}

/** The fills of a piece of SVG, in order: { source, alpha, mask }. */
function fills(svg, inherited = {}) {
  const found = [];
  const masks = new Map();
  const pattern = /<(path|g|mask)\b([^>]*?)(\/?)>/g;
  let match;
  let rest = 0;
  while ((match = pattern.exec(svg))) {
    if (svg.slice(rest, match.index).trim()) throw new Error(`not understood: ${svg.slice(rest, match.index)}`);
    const [, tag, text] = match;
    const attributes = {
      ...inherited,
      ...Object.fromEntries([...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value])),
    };
    if (tag === 'path') {
      const { fill } = attributes;
      const source =
        fill === '#fff' ? 'white' : fill === '#000' ? 'black' : fill?.startsWith('tint:') ? fill.slice(5) : null;
      if (!source) throw new Error(`fill ${fill}`);
      const alpha = Number(attributes['fill-opacity'] ?? 1) * Number(attributes.opacity ?? 1);
      found.push({ source, alpha, mask: covered(attributes.d, attributes['fill-rule']) });
    } else {
      const end = svg.indexOf(`</${tag}>`, pattern.lastIndex);
      const inner = svg.slice(pattern.lastIndex, end);
      pattern.lastIndex = end + tag.length + 3;
      const { id, mask, ...kept } = attributes;
      if (tag === 'mask') masks.set(`url(#${id})`, fills(inner)[0]);
      else if (mask) found.push(...masked(fills(inner), masks.get(mask)));
      else found.push(...fills(inner, kept));
    }
    rest = pattern.lastIndex;
  }
  return found;
}

/**
 * Two fills of the whole picture, the second see-through, shown through a mask, as two fills one after the other.
 * The style's mask also multiplies by the luminance of the tint, which would make beards of dark tints vanish: left out.
 */
function masked([under, over], { alpha: m, mask }) {
  return [
    { source: under.source, alpha: 1 - (1 - m) / (1 - over.alpha * m), mask },
    { source: over.source, alpha: over.alpha * m, mask },
  ];
}

function line({ source, alpha, mask }) {
  let hex = '';
  for (let k = 0; k < mask.length; k += 4) {
    hex += (mask[k] * 8 + mask[k + 1] * 4 + mask[k + 2] * 2 + mask[k + 3] * 1).toString(16);
  }
  return `${source} ${Math.round(alpha * 255)} ${hex}`;
}

const { create } = await load('index.js');
const nothing = { pick: () => undefined, bool: () => false };
const parts = { skin: { plain: create({ prng: { ...nothing, pick: (list, otherwise) => (list.length ? list[0] : otherwise) },
  options: { skinColor: ['tint:skin'] } }).body.replaceAll('#tint', 'tint') } };
// The order in which the style stacks them.
for (const name of ['accessories', 'clothing', 'eyes', 'glasses', 'beard', 'mouth', 'hair', 'hat']) {
  const variants = (await load('components', `${name}.js`))[name];
  parts[name] = Object.fromEntries(
    Object.keys(variants).sort().map((key) => [key, variants[key]({}, colors)]),
  );
}
const files = readdirSync(join(style, 'lib', 'components')).filter((file) => file.endsWith('.js')).length - 1;
if (files !== Object.keys(parts).length - 1) throw new Error('the style has a part that is not extracted');

const lines = [
  `# Layers of @dicebear/pixel-art ${version}, by tools/avatars/extract.mjs. Design CC0 1.0; README.md tells the origin.`,
  '# part NAME, back to front; variant NAME; then its fills in order: tint or white or black, opacity of 255, and the 16×16 mask,',
  '# row by row from the top, four pixels a digit, the leftmost pixel its highest bit.',
];
for (const [name, variants] of Object.entries(parts)) {
  lines.push(`part ${name}`);
  for (const [key, svg] of Object.entries(variants)) {
    lines.push(`variant ${key}`, ...fills(svg).map(line));
  }
}
writeFileSync(out, lines.join('\n') + '\n');
console.log(`${out}: ${lines.length} lines, ${Object.entries(parts).map(([k, v]) => `${Object.keys(v).length} ${k}`).join(', ')}`);
