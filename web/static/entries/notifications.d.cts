/** The same for CommonJS, which brings modules in by require where Node is 20.19 or newer. */
import type * as entry from './notifications.js' with { 'resolution-mode': 'import' };

export declare const OwnerNotifications: typeof entry.OwnerNotifications;
export type OwnerNotifications = entry.OwnerNotifications;
