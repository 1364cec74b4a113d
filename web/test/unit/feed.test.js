// Reads the feeds that handlers/ics_test.go writes by another parser than the one that wrote them.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import ICAL from 'ical.js';

const fixtures = new URL('../fixtures/feeds/', import.meta.url);

for (const name of ['feed-instants', 'feed-dates']) {
  test(`ical.js reads ${name} as golang-ical does`, async () => {
    const text = await readFile(new URL(`${name}.ics`, fixtures), 'utf8');
    const wanted = JSON.parse(await readFile(new URL(`${name}.json`, fixtures), 'utf8'));
    const calendar = new ICAL.Component(ICAL.parse(text));
    const compact = (time) => time.toICALString();
    const read = calendar.getAllSubcomponents('vevent').map((event) => ({
      uid: event.getFirstPropertyValue('uid'),
      summary: event.getFirstPropertyValue('summary'),
      start: compact(event.getFirstPropertyValue('dtstart')),
      end: compact(event.getFirstPropertyValue('dtend')),
      status: event.getFirstPropertyValue('status'),
    }));
    assert.deepEqual(read, wanted);
    assert.equal(calendar.getFirstPropertyValue('x-wr-calname'), 'Todos  X-EVIL:1 os hangares');
    assert.equal(calendar.getFirstProperty('x-evil'), null);
    assert.equal(calendar.getFirstPropertyValue('refresh-interval').toSeconds(), 900);
  });
}
