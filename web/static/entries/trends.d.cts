/** The same for CommonJS, which brings modules in by require where Node is 20.19 or newer. */
import type * as entry from './trends.js' with { 'resolution-mode': 'import' };

export declare const OwnerTrends: typeof entry.OwnerTrends;
export type OwnerTrends = entry.OwnerTrends;
