import type { Candidate } from './candidate.ts'

/** Offers are hints that anyone can send, so a round follows only so many. */
const MAX_DIALS = 8
/**
 * Of these, what one address gets for one server: it listens on one port, and on another after a restart. Who copies the id
 * of a server into offers with many ports still leaves most dials to the server itself.
 */
const MAX_DIALS_PER_SOURCE = 2
/** How long a dial may stay unanswered before the next address of the same server is dialled too (RFC 8305, section 5). */
const STAGGER_MS = 250
/** What may wait; an honest network does not come near. */
const MAX_WAITING = 64

/**
 * Offers that wait to be dialled. Servers are dialled side by side. Several addresses of one server, by the id that they
 * claim, are dialled one after the other: most often the first one does, and all others would be wasted.
 */
export class OfferQueue {
  readonly #trusted: ReadonlySet<string>
  readonly #random: () => number
  #waiting: Candidate[] = []
  #dials = 0
  readonly #dialsBySource = new Map<string, number>()
  readonly #readyAtMs = new Map<string, number>()

  /**
   * @param known where the servers were before: such an address goes first, because a forger cannot have it as easily
   * @param random uniform from 0 to 1: who answers first does not always go first
   */
  constructor (known: readonly Candidate[], random: () => number) {
    this.#trusted = new Set(known.map(({ address }) => address))
    this.#random = random
  }

  add (offer: Candidate): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push(offer)
  }

  /** The offer to dial now, where there is one; it counts as dialled. */
  take (nowMs: number): Candidate | undefined {
    if (this.#dials >= MAX_DIALS) return undefined
    const ready = this.#waiting.filter(offer => this.#dialsOf(offer) < MAX_DIALS_PER_SOURCE && this.#readyAt(offer) <= nowMs)
    if (ready.length === 0) return undefined
    const least = Math.min(...ready.map(offer => this.#rank(offer)))
    const best = ready.filter(offer => this.#rank(offer) === least)
    const chosen = best[Math.floor(this.#random() * best.length)]
    if (chosen === undefined) return undefined
    this.#waiting = this.#waiting.filter(offer => offer !== chosen)
    this.#dials++
    this.#dialsBySource.set(sourceOf(chosen), this.#dialsOf(chosen) + 1)
    this.#readyAtMs.set(serverOf(chosen), nowMs + STAGGER_MS)
    return chosen
  }

  /** A dial came to nothing, so nothing is to be waited for. */
  failed (offer: Candidate): void {
    this.#readyAtMs.delete(serverOf(offer))
  }

  /** How long until another offer may be ready; undefined where none waits for its time. */
  nextInMs (nowMs: number): number | undefined {
    if (this.#dials >= MAX_DIALS) return undefined
    const open = this.#waiting.filter(offer => this.#dialsOf(offer) < MAX_DIALS_PER_SOURCE)
    return open.length === 0 ? undefined : Math.max(0, Math.min(...open.map(offer => this.#readyAt(offer))) - nowMs)
  }

  /** Addresses that were not dialled yet come first. */
  #rank (offer: Candidate): number {
    return this.#dialsOf(offer) * 2 + (this.#trusted.has(offer.address) ? 0 : 1)
  }

  #dialsOf (offer: Candidate): number {
    return this.#dialsBySource.get(sourceOf(offer)) ?? 0
  }

  #readyAt (offer: Candidate): number {
    return this.#readyAtMs.get(serverOf(offer)) ?? 0
  }
}

function serverOf ({ idPrefix }: Candidate): string {
  return idPrefix ?? ''
}

function sourceOf (offer: Candidate): string {
  return `${serverOf(offer)} ${offer.address}`
}
