import { decodeDiscover, DISCOVERY_PORT, isFileSyncError, LIMITS } from '@filesync/protocol'
import type { DiscoverV1, DiscoverV2 } from '@filesync/protocol'
import { isLoopback, isOnLink } from './address.ts'
import type { Endpoint } from './datagram-bus.ts'
import type { Link } from './link.ts'
import { RateWindow } from './rate-window.ts'

/** Answers to one source address in any second. */
const REPLIES_PER_SOURCE = 5
/** Answers to all in any second. */
const REPLIES_OVERALL = 50
/** Of these, what only sources may have that were not answered lately: a flood of few sources leaves it to the others. */
const RESERVED_FOR_NEW_SOURCES = 25
/** How long a source that was answered counts as known. */
const SOURCE_MEMORY_MS = 60_000
const WINDOW_MS = 1_000

/** Why a datagram is not answered. */
type IgnoredReason = 'size' | 'source port' | 'off-link' | 'not a question' | 'legacy' | 'repeated' | 'source rate' | 'overall rate'

export type ReplyDecision =
  | { readonly answer: true, readonly question: DiscoverV1 | DiscoverV2 }
  | { readonly answer: false, readonly because: IgnoredReason }

interface Source {
  readonly replies: RateWindow
  lastNonce: string | undefined
  lastReplyMs: number
}

export interface Heard {
  readonly bytes: Uint8Array
  readonly link: Link
  readonly source: Endpoint
}

/**
 * Which datagrams a server answers, so that it is of no use to flood or to reflect with: questions of the right size, from
 * the subnet they were heard on, from a port that asks and does not answer, each once, and not too many.
 */
export class ReplyPolicy {
  readonly #legacy: boolean
  readonly #overall = new RateWindow(REPLIES_OVERALL, WINDOW_MS)
  /** Least lately answered first. Holds no more than the overall limit lets in. */
  readonly #sources = new Map<string, Source>()

  /** @param init.legacy whether the original's unpadded questions are answered too */
  constructor (init: { readonly legacy: boolean }) {
    this.#legacy = init.legacy
  }

  /** Judges one datagram, and counts the answer where there is one. `nowMs` must not run backwards. */
  judge (heard: Heard, nowMs: number): ReplyDecision {
    const { bytes, source, link } = heard
    if (bytes.length > LIMITS.datagramBytes) return refuse('size')
    if (source.port < 1024 || source.port === DISCOVERY_PORT) return refuse('source port')
    if (!isOnLink(source.address, link)) return refuse('off-link')
    const question = read(bytes)
    if (question === undefined) return refuse('not a question')
    if (question.v === 1 && !this.#legacy) return refuse('legacy')
    // The decoder does not look at the padding, because only an answer makes a short question worth forging.
    if (question.v === 2 && bytes.length < LIMITS.discoverBytes) return refuse('size')
    // Nobody can forge a source on loopback, and all programs of a machine share its address.
    return this.#admit(question, isLoopback(source.address) ? `${source.address} ${source.port}` : source.address, nowMs)
  }

  #admit (question: DiscoverV1 | DiscoverV2, asker: string, nowMs: number): ReplyDecision {
    this.#forget(nowMs)
    const known = this.#sources.get(asker)
    const nonce = question.v === 2 ? question.nonce : undefined
    if (known !== undefined) {
      if (nonce !== undefined && known.lastNonce === nonce) return refuse('repeated')
      if (known.replies.room(nowMs) <= 0) return refuse('source rate')
    }
    if (this.#overall.room(nowMs) <= (known === undefined ? 0 : RESERVED_FOR_NEW_SOURCES)) return refuse('overall rate')
    const entry = known ?? { replies: new RateWindow(REPLIES_PER_SOURCE, WINDOW_MS), lastNonce: undefined, lastReplyMs: 0 }
    entry.lastNonce = nonce
    entry.lastReplyMs = nowMs
    entry.replies.note(nowMs)
    this.#overall.note(nowMs)
    this.#sources.delete(asker)
    this.#sources.set(asker, entry)
    return { answer: true, question }
  }

  #forget (nowMs: number): void {
    for (const [asker, entry] of this.#sources) {
      if (nowMs - entry.lastReplyMs < SOURCE_MEMORY_MS) return
      this.#sources.delete(asker)
    }
  }
}

function read (bytes: Uint8Array): DiscoverV1 | DiscoverV2 | undefined {
  try {
    return decodeDiscover(bytes)
  } catch (error) {
    if (isFileSyncError(error)) return undefined
    throw error
  }
}

function refuse (because: IgnoredReason): ReplyDecision {
  return { answer: false, because }
}
