import { isFileSyncError, wait } from '@filesync/protocol'
import type { Clock } from '@filesync/protocol'
import { findArea, sanitizeName } from './area.ts'
import type { Audit } from './audit.ts'
import type { PairingCrypto } from './crypto-port.ts'
import type { DeviceId } from './device-id.ts'
import { makePairingCode } from './pairing-code.ts'
import type { PairingCode } from './pairing-code.ts'
import { acceptPairing } from './pairing.ts'
import type { AdmittedClient, AreaNote, PairingApplication, PairingAuthority, PairingChannel, PairingClaim } from './pairing.ts'
import { PairingWindow } from './pairing-window.ts'
import type { Admission, PairingMethod } from './peer.ts'
import type { PeerBook } from './peer-book.ts'
import { codeKey } from './proof.ts'
import { pairingRefused, clientRevoked } from './pairing-refusal.ts'
import type { TakenOver, TakeOverRequest } from './take-over.ts'
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
  /** Areas that the archive has, which a client may take over though no peer has them; none by default. */
  readonly archivedAreas?: () => Promise<readonly string[]>
  /** Called for each client that is trusted from now on, before the client is notified. */
  readonly onPaired?: (paired: PairedClient, request: PairingRequest) => void
  /** How long a refused client waits for the answer; 1 s by default. Together with the limit on connections it limits guessing. */
  readonly refusalDelayMs?: number
}

/** A client that wants to pair, and its address for the log. */
export interface PairingRequest extends PairingChannel {
  readonly remoteAddress: string
}

/** A client that was admitted, and what became of the area that it has or asked for. */
export interface PairedClient extends TakenOver {
  readonly note?: AreaNote | undefined
  /** The area of another client that has the name that this one asked for. */
  readonly namesake?: string | undefined
}

type Admit = (via: PairingMethod, to?: Pick<TakeOverRequest, 'area' | 'token'>) => Promise<PairedClient>

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

  /**
   * Opens a window for one client, and closes an earlier one. The code is returned this once and stored nowhere. With `area`, the
   * client takes over that area, which must exist; see `PeerBook.takeOver`.
   */
  async openWindow ({ ttlMs = CODE_TTL_MS, area }: { readonly ttlMs?: number, readonly area?: string } = {}): Promise<PairingCode> {
    const { crypto, clock, serverId, audit } = this.#init
    await audit.record({ event: 'open-window', expiresAtMs: clock.nowMs() + ttlMs, ...(area !== undefined && { area }) })
    const code = makePairingCode(crypto)
    const key = await codeKey(crypto, code, serverId)
    this.#window = new PairingWindow(key, clock.monotonicMs() + ttlMs, area)
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
    const admit: Admit = async (via, to) => {
      const client = { id: clientId, via, address: request.remoteAddress }
      const paired = to === undefined ? await this.#admit({ ...client, requestedName }) : await this.#takeOver({ ...client, ...to })
      this.#init.onPaired?.(paired, request)
      return paired
    }
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
        return await admit('code', window.area === undefined ? undefined : { area: window.area })
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
        const isRepeated = await tokens.spend(token.tokenId, clientId)
        const { area } = token
        return await admit('token', area === undefined ? undefined : { area, token: { id: token.tokenId, isRepeated } })
      },
      refuse () { /* 130 bits need no limit on attempts */ },
    }
  }

  async #admit (client: Admission): Promise<PairedClient> {
    const { peers, takenAreas } = this.#init
    const taken = await takenAreas?.() ?? []
    const peer = await peers.admit({ ...client, takenAreas: taken })
    const others = (await peers.list()).flatMap(({ id, area }) => id === peer.id ? [] : [area])
    const namesake = findArea(sanitizeName(client.requestedName), [...others, ...taken.filter(name => name !== peer.area)])
    return { peer, ...(namesake !== undefined && { note: 'BESIDE', namesake }) }
  }

  async #takeOver (request: Omit<TakeOverRequest, 'archived'>): Promise<PairedClient> {
    const taken = await this.#init.peers.takeOver({ ...request, archived: await this.#init.archivedAreas?.() ?? [] })
    return { ...taken, note: 'CONTINUES' }
  }
}
