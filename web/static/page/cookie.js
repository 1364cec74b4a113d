/**
 * A session in the portal's cookie, which no script can read. The browser sends it with every
 * request, and no token.
 * @import * as T from '../shapes.js'
 */
import { openSocket } from '../parts.js';

/** The client's requests without the token. @type {typeof fetch} */
const fetchByCookie = (input, { headers, ...rest } = {}) => {
  const { Authorization: _, ...others } = /** @type {Record<string, string>} */ (headers ?? {});
  return fetch(input, { ...rest, headers: others });
};

/** @type {import('../types.js').OpenTransport} */
function openWebSocket(request, handlers) {
  const socket = openSocket(request, ['hangarshare.v1'], handlers);
  // A renewed cookie reaches the server with a new request only, so a refresh is not sent and the
  // client dials again.
  return { ...socket, send: (text) => JSON.parse(text).type !== 'refresh' && socket.send(text) };
}

/** @type {T.Carrier} */
export const carrier = { fetch: fetchByCookie, openWebSocket };

/** @type {T.RetryOnFocus} */
export function retryOnFocus(again) {
  addEventListener('focus', () => again().catch(() => retryOnFocus(again)), { once: true });
}

/**
 * A text in place of the cookie's token, which is sent nowhere. It changes with the cookie's token.
 * It names the user as a token would, so that tabs of one user share a connection.
 * @type {T.CookieLabel}
 */
export const labelOf = ({ user, expiresAt }) => `cookie.${btoa(JSON.stringify({ iss: 'cookie', sub: encodeURIComponent(user.id) }))}.${expiresAt}`;
