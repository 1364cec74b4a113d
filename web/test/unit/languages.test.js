// A language is whole: one file in words/ has the words of every view, under the names and with the
// places that the Portuguese ones have, which stand beside the views that load them.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { CATALOGUES, PORTUGUESE, wordingOf } from '../../static/state/wording.js';

const root = new URL('../../static/', import.meta.url);
const files = readdirSync(root, { recursive: true }).map((name) => name.replaceAll('\\', '/'));
const languages = files.flatMap((name) => name.match(/^words\/(\w+)\.js$/)?.[1] ?? []);
const load = async (name) => (await import(new URL(name, root))).default;
/** The views with their Portuguese words. */
const VIEWS = {
  growth: ['element/words/pt.js'], calendar: ['calendar/words/pt.js'], feeds: ['calendar/words/feeds/pt.js'],
  trends: ['trends/words/pt.js', 'trends/words/controls-pt.js', 'trends/words/more-pt.js'],
  notifications: ['notifications/words/pt.js', 'notifications/words/bell-pt.js', 'notifications/words/hands-pt.js'],
  preferences: ['notifications/words/settings-pt.js'], push: ['push/words/pt.js'],
};

test('a file in words/ is a language that can be chosen', async () => {
  assert.ok(languages.length >= 2, languages.join());
  assert.deepEqual(Object.keys(CATALOGUES).sort(), [...languages].sort(), 'words/ and CATALOGUES of state/wording.js');
  for (const language of languages) assert.equal((await wordingOf(language)).words.language, language, 'a file is named for its language');
});

test('each Portuguese catalogue is a view of the others', () => {
  assert.deepEqual(files.filter((name) => /(^|\/)words\/.*pt\.js$/.test(name)).sort(), Object.values(VIEWS).flat().sort());
});

/** Names, and the places to fill in: the same in each language. @param {any} all @returns {any} */
const forms = (all) => (typeof all === 'string' ? (all.match(/\{\w+\}/g) ?? []).sort().join() : Array.isArray(all) ? all.map(forms)
  : Object.fromEntries(Object.entries(all).map(([name, value]) => [name, forms(value)])));
for (const view of ['page', ...Object.keys(VIEWS)]) {
  test(`${view}: each language has the words of Portuguese, and each word the same places`, async () => {
    const words = view === 'page' ? PORTUGUESE : Object.assign({}, ...await Promise.all(VIEWS[view].map(load)));
    for (const language of languages) assert.deepEqual(forms((await load(`words/${language}.js`))[view]), forms(words), `web/static/words/${language}.js`);
  });
}

test('the worker of push has a sentence in each language', () => {
  const [, news] = readFileSync(new URL('../root/sw.js', root), 'utf8').match(/const NEWS = \{(.*)\}/) ?? [];
  for (const language of ['pt', ...languages]) assert.match(news, new RegExp(`\\b${language}: '`), `web/root/sw.js: NEWS lacks ${language}`);
});
