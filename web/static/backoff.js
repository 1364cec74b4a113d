/** The waits before another try. */
export { delay } from './parts.js';
