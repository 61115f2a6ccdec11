/** How many connections may be pending at the same time. */
export interface PendingLimits {
  readonly perAddress: number
  readonly total: number
}

/**
 * Connections that are not yet known to belong to a paired peer. If there are too many, for one address or in total, the
 * oldest is closed: honest connections are pending for milliseconds, so the oldest is most likely idle.
 */
export class PendingConnections<T> {
  readonly #limits: PendingLimits
  // A Map keeps the order of insertion.
  readonly #pending = new Map<T, string>()

  constructor (limits: PendingLimits) {
    this.#limits = limits
  }

  /** Adds a connection and returns those that must be closed for it. */
  add (connection: T, address: string): readonly T[] {
    this.#pending.set(connection, address)
    const neighbors = [...this.#pending].filter(([, other]) => other === address).map(([other]) => other)
    const evicted = neighbors.slice(0, Math.max(0, neighbors.length - this.#limits.perAddress))
    for (const connection of evicted) this.#pending.delete(connection)
    const [oldest] = this.#pending.keys()
    if (this.#pending.size > this.#limits.total && oldest !== undefined) {
      this.#pending.delete(oldest)
      evicted.push(oldest)
    }
    return evicted
  }

  /** Removes a connection that is accepted or closed. */
  remove (connection: T): void {
    this.#pending.delete(connection)
  }
}
