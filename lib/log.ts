import 'server-only';

import { createLogger } from '@computefabric/runtime/log';

export const log = createLogger('dashboard');
