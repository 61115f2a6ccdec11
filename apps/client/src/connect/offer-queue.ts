import type { Candidate } from './candidate.ts'

/** Offers are hints that anyone can send, so only so many are dialled at a time; then it is the turn of others. */
const DIALS_PER_ROUND = 8
const ROUND_MS = 250
/**
 * What one address gets for one server: it listens on one port, and on another after a restart. Who copies the id of a server
 * into offers with many ports still leaves most dials to the server itself.
 */
const MAX_DIALS_PER_SOURCE = 8
/** How long a dial may stay unanswered before the next address of the same server is dialled too (RFC 8305, section 5). */
const STAGGER_MS = 250
/**
 * All addresses of one server have their turn within so many staggers, which is before a search gives up: who sends offers with
 * the id of a server from every address of the network delays it, and does not hide it.
 */
const STAGGERS = 32
/** What may wait, in all and of one address for one server; an honest network does not come near. Beyond, it is drawn who stays. */
const MAX_WAITING = 256
const MAX_WAITING_PER_SOURCE = 4

/** How far the dials of one server are. */
interface Wave {
  /** When the next one begins. */
  readonly readyAtMs: number
  /** What may still be dialled in this one. */
  readonly left: number
}

/**
 * Offers that wait to be dialled. Servers are dialled side by side. Several addresses of one server, by the id that they
 * claim, are dialled one after the other, or a few at a time where there are many: most often the first one does, and all others
 * would be wasted.
 */
export class OfferQueue {
  readonly #trusted: ReadonlySet<string>
  readonly #random: () => number
  #waiting: Candidate[] = []
  #added = 0
  #dials = 0
  #roundEndMs = -Infinity
  readonly #dialsBySource = new Map<string, number>()
  readonly #waves = new Map<string, Wave>()
  /** How many addresses of a server are dialled in a wave. It does not shrink with what is left, which would never come to an end. */
  readonly #waveSizes = new Map<string, number>()

  /**
   * @param known where the servers were before: such an address goes first, because a forger cannot have it as easily
   * @param random uniform from 0 to 1: who answers first does not always go first
   */
  constructor (known: readonly Candidate[], random: () => number) {
    this.#trusted = new Set(known.map(({ address }) => address))
    this.#random = random
  }

  add (offer: Candidate): void {
    this.#added++
    const source = sourceOf(offer)
    const neighbours = this.#waiting.filter(other => sourceOf(other) === source)
    if (neighbours.length >= MAX_WAITING_PER_SOURCE) this.#exchange(neighbours, offer, neighbours.length + 1)
    else if (this.#waiting.length >= MAX_WAITING) this.#exchange(this.#waiting, offer, this.#added)
    else this.#waiting.push(offer)
  }

  /** The offer to dial now, where there is one; it counts as dialled. */
  take (nowMs: number): Candidate | undefined {
    if (nowMs >= this.#roundEndMs) [this.#dials, this.#roundEndMs] = [0, nowMs + ROUND_MS]
    if (this.#dials >= DIALS_PER_ROUND) return undefined
    const ready = this.#open().filter(offer => this.#readyAt(offer) <= nowMs)
    if (ready.length === 0) return undefined
    const least = Math.min(...ready.map(offer => this.#rank(offer)))
    const best = ready.filter(offer => this.#rank(offer) === least)
    const chosen = best[Math.floor(this.#random() * best.length)]
    if (chosen === undefined) return undefined
    this.#advanceWave(chosen, nowMs)
    this.#waiting = this.#waiting.filter(offer => offer !== chosen)
    this.#dials++
    this.#dialsBySource.set(sourceOf(chosen), this.#dialsOf(chosen) + 1)
    return chosen
  }

  /** A dial came to nothing, so nothing is to be waited for. */
  failed (offer: Candidate): void {
    this.#waves.delete(serverOf(offer))
  }

  /** How long until another offer may be ready; undefined where none waits for its time. */
  nextInMs (nowMs: number): number | undefined {
    const open = this.#open()
    if (open.length === 0) return undefined
    const roundMs = this.#dials >= DIALS_PER_ROUND ? this.#roundEndMs : -Infinity
    return Math.max(0, Math.max(roundMs, Math.min(...open.map(offer => this.#readyAt(offer)))) - nowMs)
  }

  #open (): Candidate[] {
    return this.#waiting.filter(offer => this.#dialsOf(offer) < MAX_DIALS_PER_SOURCE)
  }

  /** Each of those that came has the same chance to stay: who floods gains no more by being first than by being last. */
  #exchange (among: readonly Candidate[], offer: Candidate, came: number): void {
    const leaving = among[Math.floor(this.#random() * came)]
    if (leaving !== undefined) this.#waiting = this.#waiting.map(other => other === leaving ? offer : other)
  }

  #advanceWave (offer: Candidate, nowMs: number): void {
    const server = serverOf(offer)
    const addresses = new Set(this.#waiting.filter(other => serverOf(other) === server).map(({ address }) => address))
    const size = Math.max(this.#waveSizes.get(server) ?? 1, Math.ceil(addresses.size / STAGGERS))
    this.#waveSizes.set(server, size)
    const before = this.#waves.get(server)?.left ?? 0
    const left = (before > 0 ? before : size) - 1
    this.#waves.set(server, { left, readyAtMs: left > 0 ? nowMs : nowMs + STAGGER_MS })
  }

  /** Addresses that were not dialled yet come first. */
  #rank (offer: Candidate): number {
    return this.#dialsOf(offer) * 2 + (this.#trusted.has(offer.address) ? 0 : 1)
  }

  #dialsOf (offer: Candidate): number {
    return this.#dialsBySource.get(sourceOf(offer)) ?? 0
  }

  #readyAt (offer: Candidate): number {
    return this.#waves.get(serverOf(offer))?.readyAtMs ?? 0
  }
}

function serverOf ({ idPrefix }: Candidate): string {
  return idPrefix ?? ''
}

function sourceOf (offer: Candidate): string {
  return `${serverOf(offer)} ${offer.address}`
}
