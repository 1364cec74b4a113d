/**
 * Questions and changes by plain HTTP, with one more try where the token had ended.
 * @import * as N from './shapes.js'
 */
import { ANSWER_MS } from '../parts.js';

/** @type {N.NewAsk} */
export const newAsk = ({ server, ownerId, fetch, token }) => async (path, method = 'GET', body) => {
  const url = new URL(path.startsWith('/') ? path : `/api/owners/${encodeURIComponent(ownerId)}/${path}`, server);
  /** @param {boolean} again */
  const send = async (again) => fetch(url.href, {
    method, cache: method === 'GET' ? 'no-cache' : 'no-store', signal: AbortSignal.timeout(ANSWER_MS), body: body ? JSON.stringify(body) : null,
    headers: { Accept: 'application/json', ...(body && { 'Content-Type': 'application/json' }), Authorization: `Bearer ${await token(again)}` },
  });
  let answer = await send(false);
  if (answer.status === 401) answer = await send(true);
  const { status } = answer;
  if (!answer.ok) throw Object.assign(new Error(`${path}: HTTP ${status}`), { status, cause: { status } });
  return status === 204 ? {} : answer.json();
};
