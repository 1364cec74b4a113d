import { el } from './element.js';

/**
 * The part of Markdown that the description uses, as elements: headings, paragraphs, lists, tables,
 * code.
 * @param {string} text
 * @param {(name: string) => string | null} linkOf where a word in code leads
 */
export function markdown(text, linkOf) {
  const root = el('div', { className: 'prose' });
  const lines = text.split('\n');
  /** @param {(line: string) => boolean} belongs the following lines that belong to a block */
  const take = (belongs) => {
    const taken = [];
    while (lines.length && belongs(lines[0] ?? '')) taken.push(lines.shift() ?? '');
    return taken;
  };
  /**
   * @param {RegExp} marker
   * @returns the items of a list, each with the indented lines that go on with it
   */
  const items = (marker) => take((line) => marker.test(line) || /^ +\S/.test(line)).join('\n').split(/\n(?=\S)/)
    .map((item) => el('li', {}, ...inline(item.replace(marker, ''), linkOf)));
  /** @param {string} line */
  const cells = (line) => line.replace(/^\||\|$/g, '').split('|').map((cell) => inline(cell.trim(), linkOf));

  while (lines.length) {
    const line = lines[0] ?? '';
    if (line.trim() === '') lines.shift();
    else if (line.startsWith('```')) {
      lines.shift();
      root.append(el('pre', { tabIndex: 0 }, take((l) => !l.startsWith('```')).join('\n')));
      lines.shift();
    } else if (line.startsWith('## ')) {
      lines.shift();
      root.append(el('h2', { id: anchor(line.slice(3)) }, line.slice(3)));
    } else if (line.startsWith('- ')) root.append(el('ul', {}, ...items(/^- /)));
    else if (/^\d+\. /.test(line)) root.append(el('ol', {}, ...items(/^\d+\. /)));
    else if (line.startsWith('|')) {
      const [head = '', , ...rows] = take((l) => l.startsWith('|'));
      root.append(el('div', { className: 'scroll', tabIndex: 0 }, el('table', {},
        el('thead', {}, el('tr', {}, ...cells(head).map((cell) => el('th', { scope: 'col' }, ...cell)))),
        el('tbody', {}, ...rows.map((row) => el('tr', {}, ...cells(row).map((cell) => el('td', {}, ...cell))))))));
    } else root.append(el('p', {}, ...inline(take((l) => l.trim() !== '' && !/^(- |\d+\. |\||```)/.test(l)).join(' '), linkOf)));
  }
  return root;
}

/** @param {string} heading */
export const anchor = (heading) => heading.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');

/**
 * @type {(text: string, linkOf: (name: string) => string | null) => (Node | string)[]} a line with
 * its code and bold words
 */
export const inline = (text, linkOf) => text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
  if (part.startsWith('**')) return el('strong', {}, ...inline(part.slice(2, -2), linkOf));
  if (!part.startsWith('`')) return part;
  const code = el('code', {}, part.slice(1, -1));
  const link = linkOf(part.slice(1, -1));
  return link ? el('a', { href: link }, code) : code;
});
