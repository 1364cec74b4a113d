/** Pictures of notifications: node test/browser/notification-shots.js. They are for eyes. */
import { launch } from './chromium.js';
import { midnight, startFakeServer } from './fake-server.js';

const HOUR = 3_600_000;
const server = await startFakeServer({ notifications: true });
const { notes } = server;
const day = (/** @type {number} */ n) => midnight(n).slice(0, 10);
const hangar = (/** @type {number} */ i) => ({ hangarId: String(i), hangarNumber: ['H-12', 'H-15', 'A-03', 'B-07'][i - 1] });
notes.add('1', 'payout_sent', { amount: 5230.5, date: day(-2), bookings: 4 }, { ago: 49 * HOUR });
notes.add('1', 'member_changed', { memberId: '3', memberName: 'Caio Antunes', was: '', role: 'manager' }, { ago: 26 * HOUR, severity: 'attention', userId: 'ana' });
notes.add('1', 'arrives_tomorrow', { ...hangar(2), bookingId: '1002', guestName: 'João Batista Ferreira', checkInDate: day(1), checkOutDate: day(4) }, { ago: 19 * HOUR });
const read = notes.add('1', 'booking_created', { ...hangar(3), bookingId: '1001', guestName: 'Táxi Aéreo Vale', amount: 767.5, checkInDate: day(2), checkOutDate: day(5) }, { ago: 5 * HOUR });
notes.patch('1', read.id, 'bia', { read: true });
notes.add('1', 'overbooked', { ...hangar(1), date: day(3), spaces: 1, stays: 2 }, { ago: 3 * HOUR, severity: 'urgent' });
notes.add('1', 'to_confirm', { ...hangar(4), bookingId: '1003', guestName: 'Aero Agrícola Cerrado', amount: 1402.5, checkInDate: day(6), checkOutDate: day(9) }, { ago: 2 * HOUR, severity: 'attention' });
notes.add('1', 'payment_received', { ...hangar(1), bookingId: '1000', guestName: 'Ana Souza', amount: 450 }, { ago: HOUR / 2 });
notes.add('1', 'booking_created', { ...hangar(1), bookingId: '1004', guestName: 'Marina Lopes', amount: 1720, checkInDate: day(12), checkOutDate: day(15) }, { ago: HOUR / 6, count: 3 });
for (let i = 0; i < 2; i++) notes.add('2', 'booking_created');
const browser = await launch();
try {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    for (const width of [1280, 768, 360]) {
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, locale: 'pt-BR', timezoneId: 'America/Sao_Paulo' });
      const page = await context.newPage();
      const shot = (/** @type {string} */ name) => page.screenshot({ path: new URL(`../shots/${name}-${width}-${colorScheme}.png`, import.meta.url).pathname });
      await page.goto(server.url);
      await page.getByText('Ao vivo', { exact: true }).waitFor();
      await page.locator('owner-notifications .bell').click();
      await page.locator('owner-notifications [data-state=all]').click();
      await page.locator('owner-notifications .note').nth(5).waitFor();
      await page.mouse.move(1, 1);
      await shot('notifications');
      await page.getByRole('button', { name: 'Preferências de notificação' }).click();
      await page.locator('owner-notifications .rules').waitFor();
      await page.mouse.move(1, 1);
      await shot('notification-preferences');
      await context.close();
    }
  }
} finally {
  await browser.close();
  await server.stop();
}
