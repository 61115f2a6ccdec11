import { isFileSyncError, wait } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { sanitizeName } from './area.ts'
import type { Audit } from './audit.ts'
import type { PairingCrypto } from './crypto-port.ts'
import type { DeviceId } from './device-id.ts'
import { makePairingCode } from './pairing-code.ts'
import type { PairingCode } from './pairing-code.ts'
import { acceptPairing } from './pairing.ts'
import type { AdmittedClient, PairingApplication, PairingAuthority, PairingChannel, PairingClaim } from './pairing.ts'
import { PairingWindow } from './pairing-window.ts'
import type { Admission, PairingMethod, Peer, PeerBook } from './peer-book.ts'
import { codeKey } from './proof.ts'
import { pairingRefused, clientRevoked } from './pairing-refusal.ts'
import type { TokenBook } from './token-book.ts'

export interface PairingDeskInit {
  readonly serverId: DeviceId
  readonly serverName: string
  readonly peers: PeerBook
  readonly tokens: TokenBook
  /** For windows and refusals; the peer book records admissions. */
  readonly audit: Audit
  readonly crypto: PairingCrypto
  readonly clock: Clock
  /** Directories in the archive's root that no new client may be given; none by default. */
  readonly takenAreas?: () => Promise<readonly string[]>
  /** Called for each client that is trusted from now on, before the client is notified. */
  readonly onPaired?: (peer: Peer, request: PairingRequest) => void
  /** How long a refused client waits for the answer; 1 s by default. Together with the limit on connections it limits guessing. */
  readonly refusalDelayMs?: number
}

/** A client that wants to pair, and its address for the log. */
export interface PairingRequest extends PairingChannel {
  readonly remoteAddress: string
}

type Admit = (via: PairingMethod) => Promise<Peer>

const CODE_TTL_MS = 600_000
const REFUSAL_DELAY_MS = 1_000

/** The server's side of pairing: admits clients by the code of an open window, or by a token. */
export class PairingDesk {
  readonly #init: PairingDeskInit
  #window: PairingWindow | undefined

  constructor (init: PairingDeskInit) {
    this.#init = init
  }

  /** Whether a new client can pair with a code at the moment; an OFFER contains it. */
  get isOpen (): boolean {
    return this.#window?.isOpen(this.#init.clock.monotonicMs()) === true
  }

  /** Opens a window for one client, and closes an earlier one. The code is returned this once and stored nowhere. */
  async openWindow ({ ttlMs = CODE_TTL_MS }: { readonly ttlMs?: number } = {}): Promise<PairingCode> {
    const { crypto, clock, serverId, audit } = this.#init
    await audit.record({ event: 'open-window', expiresAtMs: clock.nowMs() + ttlMs })
    const code = makePairingCode(crypto)
    const key = await codeKey(crypto, code, serverId)
    this.#window = new PairingWindow(key, clock.monotonicMs() + ttlMs)
    return code
  }

  /** Closes the window, if one is open. */
  closeWindow (): void {
    this.#window = undefined
  }

  /** Serves one client that wants to pair. Throws PAIRING_REFUSED, and any error that ends its connection. */
  async serve (request: PairingRequest): Promise<AdmittedClient> {
    const { crypto, clock, audit } = this.#init
    const authority: PairingAuthority = {
      serverName: sanitizeName(this.#init.serverName),
      claim: async application => await this.#claim(application, request),
    }
    try {
      return await acceptPairing(request, { crypto, authority })
    } catch (error) {
      if (!isFileSyncError(error) || error.code !== 'PAIRING_REFUSED') throw error
      const reason = error.cause instanceof Error ? error.cause.message : error.message
      await audit.record({ event: 'refuse', reason, address: request.remoteAddress, id: request.clientId })
      const { refusalDelayMs = REFUSAL_DELAY_MS } = this.#init
      if (refusalDelayMs > 0) await wait(clock, refusalDelayMs, request.connection.signal)
      throw error
    }
  }

  async #claim ({ clientId, tokenId, requestedName }: PairingApplication, request: PairingRequest): Promise<PairingClaim | undefined> {
    const admit: Admit = async via => await this.#admit({ id: clientId, requestedName, via }, request)
    return tokenId === undefined ? this.#claimWindow(clientId, admit) : await this.#claimToken(tokenId, clientId, admit)
  }

  #claimWindow (clientId: DeviceId, admit: Admit): PairingClaim | undefined {
    const { clock } = this.#init
    const window = this.#window
    if (window?.admits(clientId, clock.monotonicMs()) !== true) return undefined
    return {
      key: window.key,
      async admit () {
        if (!window.admits(clientId, clock.monotonicMs())) throw pairingRefused('another client has just used the code')
        window.bind(clientId)
        return await admit('code')
      },
      refuse () { window.countWrongProof() },
    }
  }

  async #claimToken (id: Uint8Array, clientId: DeviceId, admit: Admit): Promise<PairingClaim | undefined> {
    const { tokens, peers } = this.#init
    const token = await tokens.find(id, clientId)
    if (token === undefined) return undefined
    return {
      key: Uint8Array.from(token.key.match(/../gu) ?? [], digits => Number.parseInt(digits, 16)),
      async admit () {
        // Checked first, so that no use of the token is wasted.
        if ((await peers.list()).some(peer => peer.id === clientId && peer.revokedAtMs !== undefined)) throw clientRevoked()
        await tokens.spend(token.tokenId, clientId)
        return await admit('token')
      },
      refuse () { /* 130 bits need no limit on attempts */ },
    }
  }

  async #admit (client: Pick<Admission, 'id' | 'requestedName' | 'via'>, request: PairingRequest): Promise<Peer> {
    const takenAreas = await this.#init.takenAreas?.() ?? []
    const peer = await this.#init.peers.admit({ ...client, address: request.remoteAddress, takenAreas })
    this.#init.onPaired?.(peer, request)
    return peer
  }
}
