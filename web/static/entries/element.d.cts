/** The same for CommonJS, which brings modules in by require where Node is 20.19 or newer. */
import type * as entry from './element.js' with { 'resolution-mode': 'import' };

export declare const RealtimeMetricsDisplay: typeof entry.RealtimeMetricsDisplay;
export type RealtimeMetricsDisplay = entry.RealtimeMetricsDisplay;
