/** Chromium for the page's tests: Debian's, or the one that CHROMIUM names. */
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { TIMEOUT_MS } from '../timeout.js';

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

/** @returns {string} */
function findChromium() {
  const found = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
    .find((path) => path && existsSync(path));
  if (!found) throw new Error('no Chromium found: install it, or set CHROMIUM to its path');
  return found;
}

export const launch = async () => chromium.launch({ executablePath: findChromium(), args: FLAGS });

/**
 * A browser whose one context is a usual window, with a profile in a directory: in others, which
 * are private windows, Chromium has no push.
 * @param {string} directory @param {string[]} flags @param {object} [options]
 */
export async function launchUsual(directory, flags, options = {}) {
  const context = await chromium.launchPersistentContext(directory, {
    executablePath: findChromium(), args: [...FLAGS, ...flags], viewport: { width: 1280, height: 900 }, locale: 'pt-BR', timezoneId: 'America/Sao_Paulo', ...options,
  });
  context.setDefaultTimeout(TIMEOUT_MS);
  return context;
}

/**
 * A page that remembers what it should never see: errors, foreign requests, violations of the
 * policy.
 * @param {import('playwright-core').Browser} browser @param {string} origin
 * @param {object} [options]
 */
export async function openPage(browser, origin, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'pt-BR', timezoneId: 'America/Sao_Paulo', ...options });
  context.setDefaultTimeout(TIMEOUT_MS);
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const { protocol, origin: to } = new URL(request.url());
    if (protocol !== 'data:' && to !== origin) complaints.push(`foreign request ${request.url()}`);
  });
  await page.addInitScript(() => {
    globalThis.shift = 0;
    globalThis.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => globalThis.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) globalThis.shift += entry.value;
    }).observe({ type: 'layout-shift', buffered: true });
  });
  return { page, complaints, close: () => context.close() };
}
