/**
 * How long a test waits for what must happen, in milliseconds. Only a fault takes that long: what
 * must be fast is measured and printed, since a busy machine is no fault of the page.
 */
export const TIMEOUT_MS = 90_000;
