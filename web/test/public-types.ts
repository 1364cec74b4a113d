// Compiled, never run: what types.d.ts says is exported must be what the modules export.
import * as client from '../static/client.js';
import * as element from '../static/element.js';
import type * as declared from '../static/types.js';

type Client = Pick<typeof declared, 'RealtimeError' | 'initWebSocket' | 'getWebSocketManager' | 'createManager'>;

export const exportsOfClient: Client = client;
export const exportsOfElement: Pick<typeof declared, 'RealtimeMetricsDisplay'> = element;
