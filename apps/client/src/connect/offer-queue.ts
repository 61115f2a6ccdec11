import type { ServerCandidate } from './server-candidate.ts'

/** Offers are hints that anyone can send, so each round dials only a limited number of them. */
const DIALS_PER_ROUND = 8
const ROUND_MS = 250
/**
 * Dials per address and server. A server listens on one port, and on another after a restart, so a few are enough; an attacker
 * who copies a server's id into offers with many ports still leaves most dials to the real server.
 */
const MAX_DIALS_PER_SOURCE = 8
/** How long a dial may be unanswered before the next address of the same server is dialled too (RFC 8305, section 5). */
const STAGGER_MS = 250
/**
 * All addresses of one server are dialled within this many staggers, which is before a search times out: an attacker who sends
 * offers with a server's id from every address of the network can delay the connection, but not prevent it.
 */
const STAGGERS = 32
/**
 * Limits for waiting offers, in total and per address and server. An honest network does not come near them. Above the limit a
 * random choice decides which offers stay.
 */
const MAX_WAITING = 256
const MAX_WAITING_PER_SOURCE = 4

/** The addresses of one server that are dialled at the same time. */
interface Wave {
  /** When the next wave may begin. */
  readonly readyAtMs: number
  /** How many dials are left in this wave. */
  readonly left: number
}

/**
 * Offers that wait to be dialled. Different servers are dialled in parallel. Addresses of the same server, according to the id
 * that the offers claim, are dialled one after the other, or a few at a time if there are many: usually the first one succeeds,
 * and the other connections would be wasted.
 */
export class OfferQueue {
  readonly #trusted: ReadonlySet<string>
  readonly #random: () => number
  #waiting: ServerCandidate[] = []
  #added = 0
  #dials = 0
  #roundEndMs = -Infinity
  readonly #dialsBySource = new Map<string, number>()
  readonly #waves = new Map<string, Wave>()
  /** How many addresses of a server are dialled per wave. It must not shrink with the number left, or the waves would never end. */
  readonly #waveSizes = new Map<string, number>()

  /**
   * @param known where the servers were before: these addresses go first, because an attacker cannot easily have them
   * @param random uniform from 0 to 1, so that answering first is no guarantee of being dialled first
   */
  constructor (known: readonly ServerCandidate[], random: () => number) {
    this.#trusted = new Set(known.map(({ address }) => address))
    this.#random = random
  }

  add (offer: ServerCandidate): void {
    this.#added++
    const source = sourceOf(offer)
    const neighbors = this.#waiting.filter(other => sourceOf(other) === source)
    if (neighbors.length >= MAX_WAITING_PER_SOURCE) this.#replaceRandomly(neighbors, offer, neighbors.length + 1)
    else if (this.#waiting.length >= MAX_WAITING) this.#replaceRandomly(this.#waiting, offer, this.#added)
    else this.#waiting.push(offer)
  }

  /** Removes and returns the offer to dial now, if there is one. */
  next (nowMs: number): ServerCandidate | undefined {
    if (nowMs >= this.#roundEndMs) [this.#dials, this.#roundEndMs] = [0, nowMs + ROUND_MS]
    if (this.#dials >= DIALS_PER_ROUND) return undefined
    const ready = this.#dialable().filter(offer => this.#readyAt(offer) <= nowMs)
    if (ready.length === 0) return undefined
    const least = Math.min(...ready.map(offer => this.#rank(offer)))
    const best = ready.filter(offer => this.#rank(offer) === least)
    const chosen = best[Math.floor(this.#random() * best.length)]
    if (chosen === undefined) return undefined
    this.#countInWave(chosen, nowMs)
    this.#waiting = this.#waiting.filter(offer => offer !== chosen)
    this.#dials++
    this.#dialsBySource.set(sourceOf(chosen), this.#dialsOf(chosen) + 1)
    return chosen
  }

  /** A dial failed, so the next address of the server need not wait. */
  dialFailed (offer: ServerCandidate): void {
    this.#waves.delete(serverOf(offer))
  }

  /** How long until another offer may be ready; undefined if none is waiting. */
  nextInMs (nowMs: number): number | undefined {
    const dialable = this.#dialable()
    if (dialable.length === 0) return undefined
    const roundMs = this.#dials >= DIALS_PER_ROUND ? this.#roundEndMs : -Infinity
    return Math.max(0, Math.max(roundMs, Math.min(...dialable.map(offer => this.#readyAt(offer)))) - nowMs)
  }

  #dialable (): ServerCandidate[] {
    return this.#waiting.filter(offer => this.#dialsOf(offer) < MAX_DIALS_PER_SOURCE)
  }

  /**
   * Reservoir sampling: each offer received so far has the same chance to stay, so that a flood gains nothing by its timing.
   *
   * @param received how many offers competed so far, this one included
   */
  #replaceRandomly (among: readonly ServerCandidate[], offer: ServerCandidate, received: number): void {
    const replaced = among[Math.floor(this.#random() * received)]
    if (replaced !== undefined) this.#waiting = this.#waiting.map(other => other === replaced ? offer : other)
  }

  #countInWave (offer: ServerCandidate, nowMs: number): void {
    const server = serverOf(offer)
    const addresses = new Set(this.#waiting.filter(other => serverOf(other) === server).map(({ address }) => address))
    const size = Math.max(this.#waveSizes.get(server) ?? 1, Math.ceil(addresses.size / STAGGERS))
    this.#waveSizes.set(server, size)
    const before = this.#waves.get(server)?.left ?? 0
    const left = (before > 0 ? before : size) - 1
    this.#waves.set(server, { left, readyAtMs: left > 0 ? nowMs : nowMs + STAGGER_MS })
  }

  /** The lowest rank is dialled first: addresses not dialled yet, and among those the known ones. */
  #rank (offer: ServerCandidate): number {
    return this.#dialsOf(offer) * 2 + (this.#trusted.has(offer.address) ? 0 : 1)
  }

  #dialsOf (offer: ServerCandidate): number {
    return this.#dialsBySource.get(sourceOf(offer)) ?? 0
  }

  #readyAt (offer: ServerCandidate): number {
    return this.#waves.get(serverOf(offer))?.readyAtMs ?? 0
  }
}

function serverOf ({ idPrefix }: ServerCandidate): string {
  return idPrefix ?? ''
}

function sourceOf (offer: ServerCandidate): string {
  return `${serverOf(offer)} ${offer.address}`
}
