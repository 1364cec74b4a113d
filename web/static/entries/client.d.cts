/** The same for CommonJS, which brings modules in by require where Node is 20.19 or newer. */
import type * as entry from './client.js' with { 'resolution-mode': 'import' };

export type * from '../types.js' with { 'resolution-mode': 'import' };
export declare const RealtimeError: typeof entry.RealtimeError;
export type RealtimeError = entry.RealtimeError;
export declare const initWebSocket: typeof entry.initWebSocket;
export declare const getWebSocketManager: typeof entry.getWebSocketManager;
export declare const createManager: typeof entry.createManager;
