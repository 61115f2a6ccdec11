import type { Clock } from '@filesync/protocol'

/** Refusals of one address that are told at once, and how fast there is room for more: anyone on the network can cause them. */
const BURST = 20
const REFILL_MS = 30_000
/** How long after the first that was left out it is told how many were. */
const SUM_UP_MS = 60_000
/** Addresses that are told apart. Who sends from more of them shares one account with all the others beyond. */
const MAX_ADDRESSES = 64
/** Stands for the addresses beyond. */
const OTHERS = 'other addresses'

interface Account {
  left: number
  filledMs: number
  leftOut: number
}

/** How many refusals of an address were not told. */
export interface LeftOut {
  /** "other addresses" stands for those beyond the first 64. */
  readonly address: string
  readonly count: number
}

export interface RefusalLimitInit {
  readonly clock: Clock
  /** Told of what was left out where no later refusal of that address told it, a minute after the first of them at the latest. */
  readonly onLeftOut: (leftOut: LeftOut) => void
  /** How many of one address are told at once; 20 by default. */
  readonly burst?: number
  /** After how long there is room for one more; 30 s by default. */
  readonly refillMs?: number
}

/**
 * Lets a burst of refusals of each address through and then one at a time; counts the rest. So a flood from one machine leaves
 * room for a line about another one, and is itself counted to its end.
 */
export class RefusalLimit {
  readonly #init: RefusalLimitInit
  readonly #burst: number
  readonly #refillMs: number
  readonly #accounts = new Map<string, Account>()
  #cancel: (() => void) | undefined

  constructor (init: RefusalLimitInit) {
    this.#init = init
    this.#burst = init.burst ?? BURST
    this.#refillMs = init.refillMs ?? REFILL_MS
  }

  /** How many refusals of this address were left out before this one, or undefined where this one is left out too. */
  take (address: string): number | undefined {
    const account = this.#account(address)
    if (account.left === 0) {
      account.leftOut++
      this.#cancel ??= this.#init.clock.schedule(SUM_UP_MS, () => { this.sumUp() })
      return undefined
    }
    account.left--
    const { leftOut } = account
    account.leftOut = 0
    return leftOut
  }

  /** One that was let through, with those left out before it, was not told after all: the next one counts them. */
  untold (address: string, leftOut: number): void {
    this.#account(address).leftOut += leftOut + 1
  }

  /** Tells what was left out so far. */
  sumUp (): void {
    this.#cancel?.()
    this.#cancel = undefined
    for (const [address, account] of this.#accounts) {
      const count = account.leftOut
      account.leftOut = 0
      if (count > 0) this.#init.onLeftOut({ address, count })
    }
  }

  #account (address: string): Account {
    const nowMs = this.#init.clock.monotonicMs()
    const known = this.#accounts.get(address) ?? this.#open(address, nowMs)
    const refill = Math.floor((nowMs - known.filledMs) / this.#refillMs)
    known.left = Math.min(this.#burst, known.left + refill)
    known.filledMs += refill * this.#refillMs
    return known
  }

  #open (address: string, nowMs: number): Account {
    if (this.#accounts.size >= MAX_ADDRESSES && address !== OTHERS) {
      for (const [old, { left, filledMs, leftOut }] of this.#accounts) {
        // It is as if it had never been there.
        if (leftOut === 0 && left + Math.floor((nowMs - filledMs) / this.#refillMs) >= this.#burst) this.#accounts.delete(old)
      }
      if (this.#accounts.size >= MAX_ADDRESSES) return this.#account(OTHERS)
    }
    const account = { left: this.#burst, filledMs: nowMs, leftOut: 0 }
    this.#accounts.set(address, account)
    return account
  }
}
