// A language is whole: wherever one has words, all have. A view's words are loaded with the view.
// So a language is a file in each folder named words, and a line where those files are loaded.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';

const root = new URL('../../static/', import.meta.url);
const files = readdirSync(root, { recursive: true }).map((name) => name.replaceAll('\\', '/'));
const languages = files.flatMap((name) => name.match(/^words\/(\w+)\.js$/)?.[1] ?? []);
const catalogues = files.filter((name) => /(^|\/)words\/([\w/]+[/-])?en\.js$/.test(name));

test('each catalogue is there in each language of words/', () => {
  assert.ok(languages.includes('en') && catalogues.length > 5, `${languages} ${catalogues}`);
  for (const catalogue of catalogues) {
    for (const language of languages) {
      const wanted = catalogue.replace(/en\.js$/, `${language}.js`);
      assert.ok(files.includes(wanted), `web/static/${wanted} is missing: translate web/static/${catalogue}`);
    }
  }
});

test('each module that loads a catalogue loads it in each language', () => {
  let loaded = 0;
  for (const module of files.filter((name) => name.endsWith('.js'))) {
    const text = readFileSync(new URL(module, root), 'utf8');
    for (const [, path] of text.matchAll(/\ben: \(\) => import\('(.*en\.js)'\)/g)) {
      loaded++;
      for (const language of languages) {
        const wanted = `${language}: () => import('${path.replace(/en\.js$/, `${language}.js`)}')`;
        assert.ok(text.includes(wanted), `web/static/${module} lacks ${wanted}`);
      }
    }
  }
  assert.equal(loaded, catalogues.length, 'a catalogue that no module loads');
});

test('the worker of push has a sentence in each language', () => {
  const [, news] = readFileSync(new URL('../root/sw.js', root), 'utf8').match(/const NEWS = \{(.*)\}/) ?? [];
  for (const language of ['pt', ...languages]) assert.match(news, new RegExp(`\\b${language}: '`), `web/root/sw.js: NEWS lacks ${language}`);
});
