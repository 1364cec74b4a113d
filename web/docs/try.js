import { el, pretty } from './element.js';

/** How many messages of a stream are shown; older ones go. */
const maxShown = 200;

/**
 * @typedef {{ method: string, path: string, headers: Record<string, string>, body?: string }} Call
 * the path has its query
 */
/**
 * Returns what disconnects.
 * @typedef {(call: Call, token: string, result: HTMLElement,
 *   ended: () => void) => () => void} Connect
 */

/** @param {Call} call @param {string} token */
const headersOf = (call, token) => ({ ...call.headers, ...(token && { Authorization: `Bearer ${token}` }) });

/** @param {string} text */
const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** @param {Call} call @param {boolean} withToken @returns the same request for a terminal */
export function curl(call, withToken) {
  const parts = ['curl -i', ...(call.method === 'GET' ? [] : [`-X ${call.method}`])];
  if (withToken) parts.push('-H "Authorization: Bearer $TOKEN"');
  for (const [name, value] of Object.entries(call.headers)) parts.push(`-H ${quote(`${name}: ${value}`)}`);
  if (call.body) parts.push(`-d ${quote(call.body)}`);
  return [...parts, quote(location.origin + call.path)].join(' ');
}

/** @param {Response} response */
function head(response) {
  return `${response.status} ${response.statusText}\n${[...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n')}`;
}

/**
 * @param {Call} call @param {string} token
 * @param {HTMLElement} result shows status, headers and body
 */
export async function send(call, token, result) {
  result.replaceChildren(el('p', {}, 'Waiting…'));
  const began = performance.now();
  try {
    const response = await fetch(call.path, { method: call.method, headers: headersOf(call, token), body: call.body });
    const text = await response.text();
    result.replaceChildren(
      el('p', { className: response.ok ? 'good' : 'bad' }, `${response.status} ${response.statusText}`.trim(),
        el('span', {}, ` in ${Math.round(performance.now() - began)} ms`)),
      el('pre', { tabIndex: 0, ariaLabel: 'Headers' }, head(response)), el('pre', { tabIndex: 0, ariaLabel: 'Body' }, pretty(text)));
  } catch (cause) {
    result.replaceChildren(el('p', { className: 'bad' }, `No answer: ${cause instanceof Error ? cause.message : cause}`));
  }
}

/**
 * @param {HTMLElement} result
 * @returns a list of lines that keeps its end in view and its length bounded
 */
function transcript(result) {
  const list = el('ol', { className: 'transcript', tabIndex: 0, ariaLabel: 'Messages' });
  result.replaceChildren(list);
  /** @param {string} kind @param {string} text */
  return (kind, text) => {
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    list.append(el('li', { className: kind }, el('time', {}, new Date().toISOString().slice(11, 23)), text));
    while (list.children.length > maxShown) list.firstElementChild?.remove();
    if (atEnd) list.scrollTop = list.scrollHeight;
  };
}

/** @type {Connect} opens a WebSocket and shows what arrives */
export const connectWebSocket = (call, token, result, ended) => {
  const say = transcript(result);
  const socket = new WebSocket(location.origin.replace('http', 'ws') + call.path, ['hangarshare.v1', ...(token ? [`bearer.${token}`] : [])]);
  const words = el('input', { value: '{"type":"ping"}', ariaLabel: 'Message to send', spellcheck: false });
  result.append(el('form', {
    className: 'say',
    submit: (/** @type {Event} */ event) => {
      event.preventDefault();
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.send(words.value);
      say('sent', words.value.replace(/("token":")[^"]+/, '$1…'));
    },
  }, words, el('button', {}, 'Send')));
  socket.onopen = () => say('note', `open, sub-protocol ${socket.protocol || 'none'}`);
  socket.onmessage = ({ data }) => say('message', data);
  socket.onclose = ({ code, reason }) => {
    say('note', `closed with ${code} ${reason}`);
    ended();
  };
  return () => socket.close(1000);
};

/** @type {Connect} opens an event stream and shows what arrives */
export const connectEvents = (call, token, result, ended) => {
  const say = transcript(result);
  const stop = new AbortController();
  const read = async () => {
    const response = await fetch(call.path, { headers: headersOf(call, token), signal: stop.signal });
    say('note', head(response));
    if (!response.ok || !response.body) return say('note', pretty(await response.text()));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = '', chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      const events = (rest + chunk.value).split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) say('message', event);
    }
    say('note', 'the server ended the stream');
  };
  read().catch((cause) => say('note', stop.signal.aborted ? 'closed' : `lost: ${cause.message}`)).finally(ended);
  return () => stop.abort();
};
