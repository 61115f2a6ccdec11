import type { DeviceId } from './device-id.ts'

/** Wrong proofs that end a window. Generous, because 100 guesses at 60 bits are nothing, and a vandal shall not close it. */
const MAX_WRONG_PROOFS = 100

/**
 * The time in which one client may pair with a code. The first that proves it knows the code has the window for itself,
 * and may come again while it lasts, because the answer may have been lost.
 */
export class PairingWindow {
  readonly key: Uint8Array
  readonly #expiresMs: number
  #client: DeviceId | undefined
  #wrongProofs = 0

  /** @param key of the code; see codeKey. @param expiresMs monotonic */
  constructor (key: Uint8Array, expiresMs: number) {
    this.key = key
    this.#expiresMs = expiresMs
  }

  /** Whether a client that nobody knows yet could pair. @param nowMs monotonic */
  isOpen (nowMs: number): boolean {
    return this.#client === undefined && this.#isAlive(nowMs)
  }

  /** Whether this client's proof is worth checking. @param nowMs monotonic */
  admits (client: DeviceId, nowMs: number): boolean {
    return this.#isAlive(nowMs) && (this.#client ?? client) === client
  }

  /** A proof was wrong. */
  noteWrongProof (): void {
    this.#wrongProofs++
  }

  /** A proof was right: nobody else gets in. */
  bind (client: DeviceId): void {
    this.#client = client
  }

  #isAlive (nowMs: number): boolean {
    return nowMs < this.#expiresMs && this.#wrongProofs < MAX_WRONG_PROOFS
  }
}
