import type { DeviceId } from './device-id.ts'

/** Wrong proofs that end a window. Many, because 100 guesses at 60 bits are harmless, and an attacker must not close it. */
const MAX_WRONG_PROOFS = 100

/**
 * The time in which one client may pair with a code. The first client that proves that it knows the code is the only one, and
 * may pair again while the window is open, because the answer may have been lost.
 */
export class PairingWindow {
  readonly key: Uint8Array
  /** The area that the client takes over; undefined if it gets a new one. */
  readonly area: string | undefined
  readonly #expiresMs: number
  #client: DeviceId | undefined
  #wrongProofs = 0

  /** @param key of the code; see codeKey. @param expiresMs monotonic */
  constructor (key: Uint8Array, expiresMs: number, area?: string) {
    this.key = key
    this.area = area
    this.#expiresMs = expiresMs
  }

  /** Whether a new client could pair. @param nowMs monotonic */
  isOpen (nowMs: number): boolean {
    return this.#client === undefined && this.#isAlive(nowMs)
  }

  /** Whether this client may pair if its proof is right. @param nowMs monotonic */
  admits (client: DeviceId, nowMs: number): boolean {
    return this.#isAlive(nowMs) && (this.#client ?? client) === client
  }

  countWrongProof (): void {
    this.#wrongProofs++
  }

  /** After a right proof: no other client can pair. */
  bind (client: DeviceId): void {
    this.#client = client
  }

  #isAlive (nowMs: number): boolean {
    return nowMs < this.#expiresMs && this.#wrongProofs < MAX_WRONG_PROOFS
  }
}
