import type { ServerBook } from '@filesync/identity'
import { loadOrCreateIdentity, openServers } from '@filesync/identity/node'
import type { Identity } from '@filesync/identity/node'
import { systemClock } from '@filesync/protocol/node'

/** The identity of this client and the servers it trusts. */
export interface ClientState {
  readonly identity: Identity
  readonly servers: ServerBook
}

/** Opens the state directory of a client. Creates the directory and a key if there are none. */
export async function openClientState (stateDir: string): Promise<ClientState> {
  return { identity: await loadOrCreateIdentity(stateDir), servers: openServers(stateDir, systemClock) }
}
