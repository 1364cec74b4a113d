/** Pictures of the trends: node browser/trends-shots.js. They are for eyes. */
import { launch } from './chromium.js';
import { startFakeServer } from './fake-server.js';

const shots = new URL('../shots/', import.meta.url).pathname;
const server = await startFakeServer({ at: '14:32' });
const browser = await launch();
try {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    for (const width of [1280, 768, 360]) {
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, locale: 'pt-BR', timezoneId: 'America/Sao_Paulo', reducedMotion: 'reduce' });
      const page = await context.newPage();
      page.on('console', (message) => message.type() === 'error' && console.log(message.text()));
      page.on('pageerror', (error) => console.log(String(error)));
      for (const [name, hash] of [['', '#trends=30'], ['-today', '#trends=today&table=1'], ['-year', '#trends=12&compare=none']]) {
        if (name && (width === 768 || (colorScheme === 'dark' && name === '-year'))) continue;
        await page.goto('about:blank');
        await page.goto(server.url + hash);
        await page.locator('.tr-body').waitFor();
        if (name === '-today') await page.locator('.tr-how summary').click();
        await page.mouse.move(0, 0);
        await page.locator('.trends').screenshot({ path: `${shots}trends${name}-${width}-${colorScheme}.png`, timeout: 60_000 });
      }
      await context.close();
    }
  }
} finally {
  await browser.close();
  await server.stop();
}
