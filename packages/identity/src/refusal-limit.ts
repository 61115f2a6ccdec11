import type { Clock } from '@filesync/protocol'

/** The size of a burst for one address, and the time after which one more is allowed: anyone on the network can cause refusals. */
const BURST = 20
const REFILL_MS = 30_000
/** How long after the first suppressed refusal the number of suppressed ones is reported. */
const FLUSH_MS = 60_000
/** Addresses with an allowance of their own; all further addresses share one. */
const MAX_ADDRESSES = 64
/** The name of the shared allowance. */
const OTHERS = 'other addresses'

interface AddressAllowance {
  left: number
  filledMs: number
  suppressed: number
}

/** How many refusals for an address were not reported. */
export interface SuppressedRefusals {
  /** "other addresses" for those after the first 64. */
  readonly address: string
  readonly count: number
}

export interface RefusalLimitInit {
  readonly clock: Clock
  /** Called with suppressed refusals that no later refusal has reported, at most a minute after the first of them. */
  readonly onSuppressed: (suppressed: SuppressedRefusals) => void
  /** How many refusals for one address are reported at once; 20 by default. */
  readonly burst?: number
  /** The time after which one more is allowed; 30 s by default. */
  readonly refillMs?: number
}

/**
 * Limits how many refusals are reported for each address: a burst, then one at a time; the rest is counted. So a flood from one
 * machine does not hide refusals of another, and is still counted in full.
 */
export class RefusalLimit {
  readonly #init: RefusalLimitInit
  readonly #burst: number
  readonly #refillMs: number
  readonly #allowances = new Map<string, AddressAllowance>()
  #cancel: (() => void) | undefined

  constructor (init: RefusalLimitInit) {
    this.#init = init
    this.#burst = init.burst ?? BURST
    this.#refillMs = init.refillMs ?? REFILL_MS
  }

  /** How many refusals for this address were suppressed before this one; undefined if this one is suppressed too. */
  admit (address: string): number | undefined {
    const allowance = this.#allowanceOf(address)
    if (allowance.left === 0) {
      allowance.suppressed++
      this.#cancel ??= this.#init.clock.schedule(FLUSH_MS, () => { this.flush() })
      return undefined
    }
    allowance.left--
    const { suppressed } = allowance
    allowance.suppressed = 0
    return suppressed
  }

  /** Counts an admitted refusal again, and those suppressed before it, because they could not be reported. */
  restore (address: string, suppressed: number): void {
    this.#allowanceOf(address).suppressed += suppressed + 1
  }

  /** Reports all suppressed refusals now. */
  flush (): void {
    this.#cancel?.()
    this.#cancel = undefined
    for (const [address, allowance] of this.#allowances) {
      const count = allowance.suppressed
      allowance.suppressed = 0
      if (count > 0) this.#init.onSuppressed({ address, count })
    }
  }

  #allowanceOf (address: string): AddressAllowance {
    const nowMs = this.#init.clock.monotonicMs()
    const known = this.#allowances.get(address) ?? this.#open(address, nowMs)
    const refill = Math.floor((nowMs - known.filledMs) / this.#refillMs)
    known.left = Math.min(this.#burst, known.left + refill)
    known.filledMs += refill * this.#refillMs
    return known
  }

  #open (address: string, nowMs: number): AddressAllowance {
    if (this.#allowances.size >= MAX_ADDRESSES && address !== OTHERS) {
      for (const [old, { left, filledMs, suppressed }] of this.#allowances) {
        // A full allowance is the same as none.
        if (suppressed === 0 && left + Math.floor((nowMs - filledMs) / this.#refillMs) >= this.#burst) this.#allowances.delete(old)
      }
      if (this.#allowances.size >= MAX_ADDRESSES) return this.#allowanceOf(OTHERS)
    }
    const allowance = { left: this.#burst, filledMs: nowMs, suppressed: 0 }
    this.#allowances.set(address, allowance)
    return allowance
  }
}
