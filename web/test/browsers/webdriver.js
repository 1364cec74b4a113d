/**
 * What the tests ask of a browser, over the commands of WebDriver that WebKit's driver and
 * Firefox's Marionette share. One session speaks to one of its windows at a time.
 */
import { TIMEOUT_MS } from '../timeout.js';


/**
 * @typedef {object} Commands
 * @property {(script: string, args: unknown[]) => Promise<any>} execute whose last argument calls
 * back
 * @property {(handle: string) => Promise<unknown>} turnTo
 * @property {() => Promise<string>} handle of the window that is spoken to
 * @property {() => Promise<string>} open a tab, its handle
 * @property {(url: string) => Promise<unknown>} go
 * @property {() => Promise<unknown>} back
 * @property {() => Promise<unknown>} reload
 * @property {() => Promise<unknown>} close
 * @property {(width: number, height: number) => Promise<unknown>} resize the page, not the window
 * @property {() => Promise<string>} picture in base64
 * @property {() => Promise<unknown>} quit
 */

/** @typedef {ReturnType<typeof newSession>} Session */
/** @typedef {ReturnType<Session['tab']>} Tab */
/**
 * @typedef {{name: string, version: string, session: Session, close: () => Promise<void>}} Browser
 */

/**
 * Runs a function's text with what it is given, and hands back what JSON can tell of its result.
 * Marionette's global is not the page's.
 */
const RUN = `const done = arguments[1], globalThis = window;
  Promise.resolve().then(() => (RUNNING)(JSON.parse(arguments[0]).argument))
    .then((value) => done({ json: JSON.stringify(value) }), (error) => done({ error: error + "\\n" + (error?.stack ?? "") }));`;

/** @param {Commands} commands */
export function newSession(commands) {
  /** @type {Promise<unknown>} */
  let turn = Promise.resolve();
  let current = '';

  /** @template R @param {string} handle @param {() => Promise<R>} use @returns {Promise<R>} */
  const within = (handle, use) => {
    const result = turn.then(async () => {
      if (current !== handle) await commands.turnTo(handle);
      current = handle;
      return use();
    });
    turn = result.catch(() => {});
    return result;
  };

  /** @param {string} handle */
  const tab = (handle) => {
    /**
     * @param {(argument: any) => unknown} run @param {unknown} [argument]
     * @returns {Promise<any>}
     */
    const evaluate = async (run, argument) => {
      const { json, error } = await within(handle, () => commands.execute(RUN.replace('RUNNING', () => String(run)), [JSON.stringify({ argument })]));
      if (error) throw new Error(error);
      return json === undefined || json === null ? undefined : JSON.parse(json);
    };
    return {
      evaluate,
      /** @param {string} url */
      go: (url) => within(handle, () => commands.go(url)),
      back: () => within(handle, commands.back),
      reload: () => within(handle, commands.reload),
      /**
       * Asks again and again, also over an error: a page may be about to change.
       * @param {(argument: any) => unknown} condition @param {unknown} [argument]
       */
      async until(condition, argument) {
        let last;
        for (const end = Date.now() + TIMEOUT_MS; ;) {
          last = await evaluate(condition, argument).catch(String);
          if (last && typeof last !== 'string') return last;
          if (Date.now() > end) throw new Error(`waited in vain for ${condition} with ${JSON.stringify(argument)}: ${last}`);
          await evaluate(() => new Promise((resolve) => setTimeout(resolve, 50))).catch(() => {});
        }
      },
      /** @param {number} width @param {number} [height] */
      async resize(width, height = 800) {
        await within(handle, () => commands.resize(width, height));
        await this.until(([w]) => innerWidth === w, [width]);
      },
      picture: async () => Buffer.from(await within(handle, commands.picture), 'base64'),
      close: () => within(handle, commands.close),
      /**
       * The browser's own commands, spoken to this window.
       * @template R
       * @param {() => Promise<R>} use
       */
      within: (use) => within(handle, use),
    };
  };

  return {
    /** The window that was there first, and is left open. */
    first: async () => tab(await commands.handle()),
    tab,
    /** @param {string} [url] */
    async open(url) {
      const opened = tab(await within(current || (await commands.handle()), commands.open));
      if (url) await opened.go(url);
      return opened;
    },
    quit: commands.quit,
  };
}
