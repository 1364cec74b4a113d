import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ceiling, delay, newPosition } from '../../static/parts.js';
import { parseMessage, kindOf } from '../../static/parts.js';
import { closeCodeOf, readMetrics } from '../../static/dial.js';
import { sseParser } from '../../static/fallback.js';

test('backoff: full jitter below 1, 2, 4 … 60 s', () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 7, 1e6].map((n) => ceiling(n) / 1000), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
  assert.equal(delay(3, () => 0), 0);
  assert.ok(delay(1e6, () => 0.999999) < 60_000);
});

describe('protocol', () => {
  test('reads an event and gives defaults for what is missing', () => {
    const { message } = parseMessage('{"id":"7","type":"booking_created","timestamp":5,"ownerId":"1","data":{"bookingId":9,"amount":"12"}}');
    assert.equal(message.data.bookingId, '9');
    assert.equal(message.data.amount, 0);
    assert.equal(message.data.guestName, '');
    assert.equal(message.data.timestamp, 5);
    assert.deepEqual(readMetrics(null), {
      revenueToday: 0, bookingsToday: 0, occupancyRate: 0, growthPercentage: 0, activeListings: 0, pendingPayouts: 0, nextPayoutDate: '',
    });
  });

  test('names what it cannot read', () => {
    assert.deepEqual(parseMessage('{'), { problem: 'invalid JSON' });
    for (const text of ['null', '[]', '1', '{}', '{"type":"__proto__"}', '{"type":"constructor"}']) {
      assert.match(parseMessage(text).problem, /^unknown type/);
    }
  });

  test('every ending has a kind', () => {
    const table = [[1000, 'network'], [1001, 'server'], [1006, 'network'], [4400, 'protocol'], [4401, 'auth'], [4403, 'forbidden'], [4408, 'server'], [4429, 'limited']];
    for (const [code, kind] of table) assert.equal(kindOf(code), kind);
    assert.deepEqual([400, 401, 403, 429, 503, 302].map(closeCodeOf), [4400, 4401, 4403, 4429, 1013, 1006]);
  });
});

describe('event stream', () => {
  const source = '\uFEFF: hello\r\nid: 1\r\nevent: booking_created\r\ndata: {"a":\r\ndata: 1}\r\n\r\nretry: 5\ndata:x\n\nid: 2\n\ndata\n\n';
  const expected = [
    { id: '1', event: 'booking_created', data: '{"a":\n1}' }, { id: '1', event: 'message', data: 'x' }, { id: '2', event: 'message', data: '' },
  ];

  test('is the same however it is cut', () => {
    for (let size = 1; size <= source.length; size++) {
      const events = [];
      const parse = sseParser((event) => events.push(event));
      for (let i = 0; i < source.length; i += size) parse(source.slice(i, i + size));
      assert.deepEqual(events, expected, `pieces of ${size}`);
    }
  });

  test('an event without an end is refused', () => {
    const parse = sseParser(() => {});
    assert.throws(() => {
      for (let i = 0; i < 2000; i++) parse('x'.repeat(1000));
    }, /too long/);
  });
});

describe('position', () => {
  test('finds repetitions, and forgets the oldest', () => {
    const position = newPosition('1', null);
    assert.equal(position.accept('a'), true);
    assert.equal(position.accept('a'), false);
    for (let i = 0; i < 600; i++) position.accept(String(i));
    assert.equal(position.value, '599');
    assert.equal(position.accept('599'), false);
    assert.equal(position.accept('a'), true);
  });

  test('an id that a snapshot or the server named may still arrive as an event', () => {
    const position = newPosition('1', null);
    position.moveTo('e9');
    assert.equal(position.value, 'e9');
    assert.equal(position.accept('e9'), true);
  });

  test('works where storage is forbidden', () => {
    const refuse = () => {
      throw new Error('SecurityError');
    };
    const position = newPosition('1', { getItem: refuse, setItem: refuse, removeItem: refuse });
    position.moveTo('a');
    assert.equal(position.value, 'a');
    position.moveTo('');
    assert.equal(position.value, '');
  });
});
