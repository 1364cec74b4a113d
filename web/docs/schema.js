/**
 * The schemas of the description as elements, for the page at /docs and the one at /docs/client.
 */
import { el } from './element.js';
import { inline, markdown } from './markdown.js';

/** @typedef {any} Json a part of the description, whose shape OpenAPI 3.0 tells */

/** @type {Json} */
let api = {};

/** Says what the others speak of. @param {Json} description @returns {Json} the same */
export const describe = (description) => (api = description);

/** @param {Json} part @returns {Json} the part itself, wherever it is written */
export const resolve = (part) => (part?.$ref ? part.$ref.slice(2).split('/').reduce((/** @type {Json} */ at, /** @type {string} */ key) => at[key], api) : part);
/** @param {Json} part @returns {string} */
export const nameOf = (part) => part?.$ref?.split('/').at(-1) ?? '';
/** @param {string} name */
export const linkOf = (name) => (api.components?.schemas?.[name] ? `#schema-${name}` : null);
/** @param {string | undefined} text */
export const prose = (text) => (text ? markdown(text, linkOf) : null);
/** @param {Json} value */
export const shown = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

/** @param {Json} schema @returns {Json} a value that the schema allows */
export function example(schema) {
  const s = resolve(schema) ?? {};
  if (s.example !== undefined) return s.example;
  if (s.enum) return s.enum[0];
  if (s.default !== undefined) return s.default;
  if (s.oneOf) return example(s.oneOf[0]);
  if (s.type === 'array') return [example(s.items)];
  if (s.type === 'object') return Object.fromEntries(Object.entries(s.properties ?? {}).map(([name, p]) => [name, example(p)]));
  return { boolean: true, integer: 1, number: 1 }[/** @type {string} */ (s.type)] ?? 'text';
}

/** @param {Json} schema @returns {Node} its type in a few words */
export function typeOf(schema) {
  const name = nameOf(schema);
  if (name) return el('a', { href: `#schema-${name}` }, name);
  if (schema.type === 'array') return el('span', {}, 'list of ', typeOf(schema.items));
  const words = schema.enum ? schema.enum.map(shown).join(' | ') : [schema.type ?? 'one of', schema.format].filter(Boolean).join(', ');
  return el('span', {}, words);
}

/** @param {Json} schema @returns {Node | null} what an object holds */
function properties(schema) {
  const entries = Object.entries(schema.properties ?? {});
  if (entries.length === 0) return null;
  return el('dl', { className: 'properties' }, ...entries.flatMap(([name, property]) => {
    const p = resolve(property);
    return [
      el('dt', {}, el('code', {}, name), ' ', typeOf(property), schema.required?.includes(name) ? null : el('em', {}, ' optional')),
      el('dd', {}, ...inline(p.description ?? '', linkOf), nameOf(property) ? null : properties(p)),
    ];
  }));
}

/** @param {string} name @param {Json} schema */
export function schemaSection(name, schema) {
  return el('details', { id: `schema-${name}`, className: 'card' },
    el('summary', {}, el('code', {}, name), el('span', {}, schema.description ?? '')),
    schema.oneOf && el('ul', {}, ...schema.oneOf.map((/** @type {Json} */ member) => el('li', {},
      typeOf(member), ` ${resolve(member).description ?? ''}`))),
    properties(schema),
    schema.oneOf ? null : el('pre', { tabIndex: 0, ariaLabel: 'Example' }, JSON.stringify(example(schema), null, 2)));
}
