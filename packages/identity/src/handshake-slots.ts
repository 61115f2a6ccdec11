/** How many connections may be in their handshake, and how many may wait for it. */
export interface HandshakeLimits {
  /** Handshakes at the same time. */
  readonly handshakes: number
  /** Of these, for one address; the others are left for other addresses. */
  readonly handshakesPerAddress: number
  /** Of these, for all addresses from which no paired client has come; the others are left for clients that are known. */
  readonly handshakesOfStrangers: number
  /** Connections that wait for a handshake. */
  readonly waiting: number
}

/** The connections from one address. */
interface Line<T> {
  isKnown: boolean
  /** Waiting, and nothing complete has arrived from them. */
  readonly silent: Set<T>
  /** Waiting for a slot. */
  readonly ready: Set<T>
  readonly running: Set<T>
}

/** Addresses of paired clients that are remembered; the one that was seen longest ago is forgotten first. */
const KNOWN_ADDRESSES = 4_096

/**
 * Decides which connections may begin their handshake, and which one has to go if too many wait. Addresses take turns, those
 * without a slot first, so the number of connections from one address does not delay another. Addresses from which a paired client
 * has come before go before strangers, and keep a share of the slots. A connection that has sent nothing takes no slot.
 */
export class HandshakeSlots<T> {
  readonly #limits: HandshakeLimits
  readonly #known = new Set<string>()
  readonly #lines = new Map<string, Line<T>>()
  readonly #places = new Map<T, { readonly address: string, readonly line: Line<T> }>()
  /** The connections that have a slot, the oldest first. */
  readonly #running = new Map<T, Line<T>>()
  #strangersRunning = 0
  /** Lines with connections that are ready; the next one first. */
  readonly #nextKnown = new Set<Line<T>>()
  readonly #nextStrangers = new Set<Line<T>>()
  #waiting = 0
  /** Lines by the number of their waiting connections, and the largest such number. */
  readonly #bySize = new Map<number, Set<Line<T>>>()
  #largest = 0

  constructor (limits: HandshakeLimits) {
    this.#limits = limits
  }

  /** Connections that are ready and have no slot. */
  get hasReady (): boolean {
    return this.#nextKnown.size + this.#nextStrangers.size > 0
  }

  /** Remembers that a paired client came from this address. */
  trust (address: string): void {
    this.#known.delete(address)
    this.#known.add(address)
    const [oldest] = this.#known
    if (this.#known.size > KNOWN_ADDRESSES && oldest !== undefined) this.#known.delete(oldest)
    const line = this.#lines.get(address)
    if (line === undefined || line.isKnown) return
    line.isKnown = true
    this.#strangersRunning -= line.running.size
    if (this.#nextStrangers.delete(line)) this.#nextKnown.add(line)
  }

  /**
   * Adds a connection that has sent nothing yet. Returns one that has to be ended if too many wait, of the address that has most
   * of them: the one that has been silent for longest, or else the newest. It may be the added one.
   */
  arrive (connection: T, address: string): T | undefined {
    const line = this.#lines.get(address) ?? { isKnown: this.#known.has(address), silent: new Set(), ready: new Set(), running: new Set() }
    this.#lines.set(address, line)
    this.#places.set(connection, { address, line })
    line.silent.add(connection)
    this.#resize(line, 1)
    if (this.#waiting <= this.#limits.waiting) return undefined
    const surplus = this.#surplus()
    if (surplus !== undefined) this.leave(surplus)
    return surplus
  }

  /** The connection has sent enough to begin its handshake. */
  ready (connection: T): void {
    const line = this.#places.get(connection)?.line
    if (line?.silent.delete(connection) !== true) return
    line.ready.add(connection)
    this.#nextOf(line).add(line)
  }

  /** Gives the next connection a slot, and returns it; undefined if none is free for it. */
  next (): T | undefined {
    const { handshakes, handshakesOfStrangers } = this.#limits
    if (this.#running.size >= handshakes) return undefined
    return this.#begin(this.#nextKnown) ?? (this.#strangersRunning >= handshakesOfStrangers ? undefined : this.#begin(this.#nextStrangers))
  }

  /**
   * The oldest connection that holds one of several slots of its address while another address waits for its first; undefined if
   * there is none. Call it when {@link next} has nothing.
   */
  contested (): T | undefined {
    const isForKnown = findLine(this.#nextKnown, hasNoSlot) !== undefined
    if (!isForKnown && findLine(this.#nextStrangers, hasNoSlot) === undefined) return undefined
    for (const [connection, line] of this.#running) {
      if (line.running.size > 1 && (isForKnown || !line.isKnown)) return connection
    }
    return undefined
  }

  /** Removes a connection that is accepted or closed. */
  leave (connection: T): void {
    const place = this.#places.get(connection)
    if (place === undefined) return
    const { address, line } = place
    this.#places.delete(connection)
    if (line.running.delete(connection)) {
      this.#running.delete(connection)
      if (!line.isKnown) this.#strangersRunning--
    } else {
      line.silent.delete(connection)
      line.ready.delete(connection)
      this.#resize(line, -1)
      if (line.ready.size === 0) this.#nextOf(line).delete(line)
    }
    if (line.running.size + line.silent.size + line.ready.size === 0) this.#lines.delete(address)
  }

  #begin (lines: Set<Line<T>>): T | undefined {
    const line = findLine(lines, hasNoSlot) ?? findLine(lines, ({ running }) => running.size < this.#limits.handshakesPerAddress)
    const [connection] = line?.ready ?? []
    if (line === undefined || connection === undefined) return undefined
    line.ready.delete(connection)
    line.running.add(connection)
    this.#running.set(connection, line)
    if (!line.isKnown) this.#strangersRunning++
    this.#resize(line, -1)
    lines.delete(line)
    if (line.ready.size > 0) lines.add(line)
    return connection
  }

  #nextOf ({ isKnown }: Line<T>): Set<Line<T>> {
    return isKnown ? this.#nextKnown : this.#nextStrangers
  }

  #surplus (): T | undefined {
    const largest = this.#bySize.get(this.#largest) ?? new Set()
    const line = findLine(largest, ({ isKnown, silent }) => !isKnown && silent.size > 0) ??
      findLine(largest, ({ silent }) => silent.size > 0)
    const [silent] = line?.silent ?? []
    const [first] = largest
    return silent ?? [...first?.ready ?? []].at(-1)
  }

  /** Notes that the line has one waiting connection more, or less; its sets have changed already. */
  #resize (line: Line<T>, by: 1 | -1): void {
    this.#waiting += by
    const size = line.silent.size + line.ready.size
    const before = this.#bySize.get(size - by)
    before?.delete(line)
    if (before?.size === 0) this.#bySize.delete(size - by)
    if (size > 0) {
      const same = this.#bySize.get(size) ?? new Set()
      this.#bySize.set(size, same.add(line))
    }
    if (by > 0) this.#largest = Math.max(this.#largest, size)
    else while (this.#largest > 0 && !this.#bySize.has(this.#largest)) this.#largest--
  }
}

function findLine <T>(lines: Iterable<Line<T>>, isWanted: (line: Line<T>) => boolean): Line<T> | undefined {
  for (const line of lines) if (isWanted(line)) return line
  return undefined
}

function hasNoSlot ({ running }: Line<unknown>): boolean {
  return running.size === 0
}
