import type { ServerBook } from '@filesync/identity'
import { loadOrCreateIdentity, openServers } from '@filesync/identity/node'
import type { Identity } from '@filesync/identity/node'
import { systemClock } from '@filesync/protocol/node'

/** Who this client is and whom it trusts. */
export interface ClientState {
  readonly identity: Identity
  readonly servers: ServerBook
}

/** Opens the state directory of a client; makes it, and a key, where there is none. */
export async function openClientState (stateDir: string): Promise<ClientState> {
  return { identity: await loadOrCreateIdentity(stateDir), servers: openServers(stateDir, systemClock) }
}
