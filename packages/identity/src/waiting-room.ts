/** How many connections may be there of which nothing is known yet. */
export interface WaitingRoomLimits {
  readonly perAddress: number
  readonly total: number
}

/**
 * The connections that have not shown yet that they belong here. When there are too many, of one address or in all, the
 * oldest has to go: an honest one is through in milliseconds, so the oldest is the likeliest to be idle.
 */
export class WaitingRoom<T> {
  readonly #limits: WaitingRoomLimits
  // A Map keeps the order of arrival.
  readonly #waiting = new Map<T, string>()

  constructor (limits: WaitingRoomLimits) {
    this.#limits = limits
  }

  /** Takes one in and returns those that have to go for it. */
  enter (connection: T, address: string): readonly T[] {
    this.#waiting.set(connection, address)
    const neighbours = [...this.#waiting].filter(([, other]) => other === address).map(([other]) => other)
    const leaving = neighbours.slice(0, Math.max(0, neighbours.length - this.#limits.perAddress))
    for (const gone of leaving) this.#waiting.delete(gone)
    const [oldest] = this.#waiting.keys()
    if (this.#waiting.size > this.#limits.total && oldest !== undefined) {
      this.#waiting.delete(oldest)
      leaving.push(oldest)
    }
    return leaving
  }

  /** It is known now, or gone. */
  leave (connection: T): void {
    this.#waiting.delete(connection)
  }
}
