// The library is written for pages: two of a page's objects are all that it asks for.
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
const { fetchEventSource } = await import('@microsoft/fetch-event-source');
const { address, ended, headers, obey, pause, show } = await import('./harness.js');

const abort = new AbortController();
// example: An orderly end is `onclose`, after which the library does not come back: throw there
fetchEventSource(address('/api/sse', ''), {
  headers,
  signal: abort.signal,
  openWhenHidden: true,
  onmessage: ({ data }) => data && show(data),
  onclose: () => {
    ended(); // for the test
    throw new Error('closed by the server');
  },
  onerror: () => pause(), // after how many milliseconds to come back; throw to give up
});
// end of example
obey({
  close: () => {
    abort.abort();
    ended();
  },
});
