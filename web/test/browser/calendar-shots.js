/** Pictures of the calendar: SHOTS=1 node browser/calendar-shots.js. They are for eyes. */
import { launch } from './chromium.js';
import { startProgram } from './program.js';

const program = await startProgram(['--demo-interval', '1h']);
const browser = await launch();
try {
  for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
    for (const width of [1280, 768, 360]) {
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, locale: 'pt-BR', timezoneId: 'America/Sao_Paulo', bypassCSP: false });
      const page = await context.newPage();
      page.on('console', (m) => m.type() === 'error' && console.log(m.text()));
      page.on('pageerror', (e) => console.log(String(e)));
      await page.goto(program.origin);
      await page.getByText('Ao vivo', { exact: true }).waitFor();
      await page.locator('.calendar header button').click();
      await page.locator('.cal-row, .cal-list > li').nth(3).waitFor();
      const folds = page.locator('.cal-fold');
      if (await folds.count() > 0) await folds.first().click();
      await page.mouse.move(0, 0);
      const at = await page.locator('.calendar').boundingBox();
      await page.locator('.calendar').evaluate((e) => e.scrollIntoView());
      await (width === 360 ? page : page.locator('.calendar')).screenshot({ path: new URL(`../shots/calendar-${width}-${colorScheme}.png`, import.meta.url).pathname, timeout: 60_000 });
      await page.getByRole('button', { name: 'Outras agendas' }).click();
      await page.getByLabel('Nome', { exact: true }).fill('Airbnb');
      await page.getByRole('button', { name: 'Criar endereço' }).click();
      await page.locator('.cal-address input').evaluate((field) => (field.value = field.value.replace(/[^/]+\.ics/, 'um-segredo.ics')));
      await page.locator('.cal-feeds li').first().waitFor();
      if (width !== 768) await page.screenshot({ path: new URL(`../shots/calendar-feeds-${width}-${colorScheme}.png`, import.meta.url).pathname });
      await page.getByRole('button', { name: 'Revogar' }).first().click();
      await page.getByRole('button', { name: 'Revogar mesmo?' }).click();
      await page.keyboard.press('Escape');
      console.log(width, colorScheme, at?.width, at?.height);
      await context.close();
    }
  }
} finally {
  await browser.close();
  await program.stop();
}
