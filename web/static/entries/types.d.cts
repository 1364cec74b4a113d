/** The same for CommonJS. */
export type * from '../types.js' with { 'resolution-mode': 'import' };
