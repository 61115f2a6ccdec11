import { isFileSyncError, wait } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { tameName } from './area.ts'
import type { Audit } from './audit.ts'
import type { PairingCrypto } from './crypto-port.ts'
import type { DeviceId } from './device-id.ts'
import { makePairingCode } from './pairing-code.ts'
import type { PairingCode } from './pairing-code.ts'
import { judgePairing } from './pairing.ts'
import type { Admitted, PairingChannel, PairingClaim, PairingJudge } from './pairing.ts'
import { PairingWindow } from './pairing-window.ts'
import type { Introduction, Peer, PeerBook } from './peer-book.ts'
import { codeKey } from './proof.ts'
import { refuseClient, refuseRevoked } from './refuse-client.ts'
import type { TokenBook } from './token-book.ts'

export interface PairingDeskInit {
  readonly serverId: DeviceId
  readonly serverName: string
  readonly peers: PeerBook
  readonly tokens: TokenBook
  /** For windows and those who are refused; the book of peers tells of those who are not. */
  readonly audit: Audit
  readonly crypto: PairingCrypto
  readonly clock: Clock
  /** Folders in the archive's root that no new client may be given; none unless told. */
  readonly takenAreas?: () => Promise<readonly string[]>
  /** Told of each client that is trusted from now on, before it learns that itself. */
  readonly onPaired?: (peer: Peer, visit: PairingVisit) => void
  /** How long a refused client waits for the answer; 1 s unless told. With the bound on connections it limits guessing. */
  readonly refusalDelayMs?: number
}

/** Where a request comes from, for the log. */
export interface PairingVisit extends PairingChannel {
  readonly remoteAddress: string
}

const CODE_TTL_MS = 600_000
const REFUSAL_DELAY_MS = 1_000

/** The server's end of pairing: the window that may be open, the tokens, and the clients they admit. */
export class PairingDesk {
  readonly #init: PairingDeskInit
  #window: PairingWindow | undefined

  constructor (init: PairingDeskInit) {
    this.#init = init
  }

  /** Whether a new client could pair with a code at the moment; what an OFFER tells. */
  get isOpen (): boolean {
    return this.#window?.isOpen(this.#init.clock.monotonicMs()) === true
  }

  /** Opens a window for one client, in the place of one that may be open. The code is told this once and kept nowhere. */
  async openWindow ({ ttlMs = CODE_TTL_MS }: { readonly ttlMs?: number } = {}): Promise<PairingCode> {
    const { crypto, clock, serverId, audit } = this.#init
    await audit.record({ event: 'open-window', expiresAtMs: clock.nowMs() + ttlMs })
    const code = makePairingCode(crypto)
    const key = await codeKey(crypto, code, serverId)
    this.#window = new PairingWindow(key, clock.monotonicMs() + ttlMs)
    return code
  }

  /** Closes the window, where one is open. */
  closeWindow (): void {
    this.#window = undefined
  }

  /** Serves one client that wants to pair. Throws PAIRING_REFUSED, and whatever ends its connection. */
  async receive (visit: PairingVisit): Promise<Admitted> {
    const { crypto, clock, audit } = this.#init
    const judge: PairingJudge = { serverName: tameName(this.#init.serverName), claim: async request => await this.#claim(request, visit) }
    try {
      return await judgePairing(visit, { crypto, judge })
    } catch (error) {
      if (!isFileSyncError(error) || error.code !== 'PAIRING_REFUSED') throw error
      const reason = error.cause instanceof Error ? error.cause.message : error.message
      await audit.record({ event: 'refuse', reason, address: visit.remoteAddress, id: visit.clientId })
      const { refusalDelayMs = REFUSAL_DELAY_MS } = this.#init
      if (refusalDelayMs > 0) await wait(clock, refusalDelayMs, visit.connection.signal)
      throw error
    }
  }

  async #claim (request: Parameters<PairingJudge['claim']>[0], visit: PairingVisit): Promise<PairingClaim | undefined> {
    const admit = async (via: Introduction): Promise<Peer> => await this.#admit({ id: request.clientId, wish: request.wish, via }, visit)
    return request.tokenId === undefined ? this.#claimWindow(request.clientId, admit) : await this.#claimToken(request.tokenId, request.clientId, admit)
  }

  #claimWindow (clientId: DeviceId, admit: (via: Introduction) => Promise<Peer>): PairingClaim | undefined {
    const { clock } = this.#init
    const window = this.#window
    if (window?.admits(clientId, clock.monotonicMs()) !== true) return undefined
    return {
      key: window.key,
      async admit () {
        if (!window.admits(clientId, clock.monotonicMs())) throw refuseClient('another client used the code just now')
        window.bind(clientId)
        return await admit('code')
      },
      refuse () { window.noteWrongProof() },
    }
  }

  async #claimToken (id: Uint8Array, clientId: DeviceId, admit: (via: Introduction) => Promise<Peer>): Promise<PairingClaim | undefined> {
    const { tokens, peers } = this.#init
    const token = await tokens.find(id, clientId)
    if (token === undefined) return undefined
    return {
      key: Uint8Array.from(token.key.match(/../gu) ?? [], digits => Number.parseInt(digits, 16)),
      async admit () {
        // Before a use of the token is taken for nothing.
        if ((await peers.list()).some(peer => peer.id === clientId && peer.revokedAtMs !== undefined)) throw refuseRevoked()
        await tokens.spend(token.tokenId, clientId)
        return await admit('token')
      },
      refuse () { /* 130 bits need no count of the tries */ },
    }
  }

  async #admit (who: { readonly id: DeviceId, readonly wish: string, readonly via: Introduction }, visit: PairingVisit): Promise<Peer> {
    const takenAreas = await this.#init.takenAreas?.() ?? []
    const peer = await this.#init.peers.admit({ ...who, address: visit.remoteAddress, takenAreas })
    this.#init.onPaired?.(peer, visit)
    return peer
  }
}
