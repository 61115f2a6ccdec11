import { decodeOffer, isFileSyncError } from '@filesync/protocol'
import type { Offer } from '@filesync/protocol'
import { isLoopback, isOnLink } from './address.ts'
import type { Heard } from './reply-policy.ts'

/** A server that answered. Nothing here is proven; only a TLS connection proves its identity. */
export interface FoundServer {
  /** Where to connect to; a link-local IPv6 address carries its zone. */
  readonly address: string
  /** TCP port of the TLS protocol. */
  readonly port: number
  /** First 16 symbols of the device id that it claims. */
  readonly idPrefix: string
  /** Whether it says that it pairs at the moment. */
  readonly pairing: boolean
  /** The interface of this machine that the answer was heard on. */
  readonly interfaceName: string
}

/**
 * New servers that one round may yield: one for every address of a usual network, so that forged offers cannot hide a server. A
 * client should connect to a few at a time.
 */
export const CANDIDATES_PER_ROUND = 256
/** Of these, what one address may claim to be; loopback, which nobody can forge, is exempt. */
const CANDIDATES_PER_SOURCE = 4
/** Of these, what may be servers that the asker does not know, where it knows any. */
const STRANGERS_PER_ROUND = 4
/** Questions that may still be answered. */
const NONCES_REMEMBERED = 3
/** A server that is silent for more rounds is taken for gone. The first ones fall into one second, where DNS-SD speaks once. */
const SILENT_ROUNDS = 5
/** Privileged ports are never dialled: a forged answer shall not lead anybody to a mail or file server. */
export const SERVER_PORT_MIN = 1024

interface Known {
  readonly server: FoundServer
  round: number
}

/** The answers so far, and which of them are news. */
export class OfferTable {
  readonly #pinned: ReadonlySet<string>
  readonly #limit: number
  readonly #known = new Map<string, Known>()
  readonly #nonces: string[] = []
  #round = 0
  #candidates = 0
  #strangers = 0
  #bySource = new Map<string, number>()

  /**
   * @param pinned id prefixes of the servers that the asker is paired with
   * @param limit new servers of one round
   */
  constructor (pinned: readonly string[] = [], limit: number = CANDIDATES_PER_ROUND) {
    this.#pinned = new Set(pinned)
    this.#limit = limit
  }

  /** A new question was asked. */
  startRound (nonce: string): void {
    this.#nonces.push(nonce)
    if (this.#nonces.length > NONCES_REMEMBERED) this.#nonces.shift()
    this.#round++
    this.#candidates = 0
    this.#strangers = 0
    this.#bySource = new Map()
    for (const [key, known] of this.#known) {
      if (this.#round - known.round > SILENT_ROUNDS) this.#known.delete(key)
    }
  }

  /** The server in a datagram, where it answers one of the last questions and is news. */
  hear (heard: Heard): FoundServer | undefined {
    if (!isOnLink(heard.source.address, heard.link)) return undefined
    const offer = read(heard.bytes)
    if (offer?.tlsPort === undefined || offer.idPrefix === undefined || offer.nonce === undefined) return undefined
    if (!this.#nonces.includes(offer.nonce)) return undefined
    return this.admit({
      address: heard.source.address,
      port: offer.tlsPort,
      idPrefix: offer.idPrefix,
      pairing: offer.pairing === true,
      interfaceName: heard.link.interfaceName,
    })
  }

  /** The server itself where it is news: never heard of, silent for some rounds, or changed. */
  admit (server: FoundServer): FoundServer | undefined {
    if (server.port < SERVER_PORT_MIN) return undefined
    const key = `${server.idPrefix} ${server.address} ${server.port}`
    const known = this.#known.get(key)
    if (known !== undefined && known.server.pairing === server.pairing) {
      known.round = this.#round
      return undefined
    }
    if (!this.#hasRoom(server)) return undefined
    this.#candidates++
    if (this.#isStranger(server)) this.#strangers++
    this.#bySource.set(server.address, (this.#bySource.get(server.address) ?? 0) + 1)
    this.#known.set(key, { server, round: this.#round })
    return server
  }

  /** A server said goodbye: when it comes back, it is news. */
  forget (server: Pick<FoundServer, 'address' | 'port' | 'idPrefix'>): void {
    this.#known.delete(`${server.idPrefix} ${server.address} ${server.port}`)
  }

  /** An interface went down: what is heard on it when it is up again is news. */
  forgetInterface (interfaceName: string): void {
    for (const [key, { server }] of this.#known) {
      if (server.interfaceName === interfaceName) this.#known.delete(key)
    }
  }

  #hasRoom (server: FoundServer): boolean {
    if (!isLoopback(server.address) && (this.#bySource.get(server.address) ?? 0) >= CANDIDATES_PER_SOURCE) return false
    if (this.#isStranger(server) && this.#strangers >= STRANGERS_PER_ROUND) return false
    return this.#candidates < this.#limit
  }

  #isStranger ({ idPrefix }: FoundServer): boolean {
    return this.#pinned.size > 0 && !this.#pinned.has(idPrefix)
  }
}

function read (bytes: Uint8Array): Offer | undefined {
  try {
    return decodeOffer(bytes)
  } catch (error) {
    if (isFileSyncError(error)) return undefined
    throw error
  }
}
