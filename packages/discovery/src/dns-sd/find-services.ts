import type { Clock, FileSyncError } from '@filesync/protocol'
import { isOnLink } from '../address.ts'
import type { BusEvent, DatagramBus } from '../datagram-bus.ts'
import { FaultReport } from '../fault-report.ts'
import { readBus } from '../read-bus.ts'
import type { Heard } from '../reply-policy.ts'
import type { Service } from './found.ts'
import { InterfaceBrowser } from './interface-browser.ts'
import { decodeMessage, encodeMessage } from './dns-message.ts'
import type { DnsMessage } from './dns-message.ts'

/** A change among the services of a type. */
export interface ServiceEvent {
  /** `changed`: another port, host, address or property. `gone`: it said goodbye, or was not heard for its time to live. */
  readonly kind: 'up' | 'changed' | 'gone'
  /** As it is now; if it is gone, as it was. */
  readonly service: Service
}

export interface FindServicesInit {
  /** On the group of RFC 6762, or another one. Owned, and closed at the end. */
  readonly bus: DatagramBus
  readonly groupPort: number
  /** `_ipp._tcp` */
  readonly type: string
  readonly clock: Clock
  /** From 0 up to 1. */
  readonly random: () => number
  readonly signal: AbortSignal
  /** Called with DISCOVERY_UNAVAILABLE for a link that cannot be used, once per cause. */
  readonly onProblem?: ((error: FileSyncError) => void) | undefined
}

/**
 * Browses for the services of a type (RFC 6763 section 4) until the signal is aborted or the reader stops. A reader that is slow
 * misses intermediate states, never the last one.
 */
export async function * findServices (init: FindServicesInit): AsyncGenerator<ServiceEvent, void, undefined> {
  const stopped = new AbortController()
  const browser = new Browser(init)
  const running = browser.run(AbortSignal.any([init.signal, stopped.signal]))
  // Its rejection is handled where it is awaited below.
  running.catch(() => { /* the browser has ended, and so do its events */ })
  try {
    for (let event = await browser.next(); event !== undefined; event = await browser.next()) yield event
  } finally {
    stopped.abort()
    await running
  }
}

class Browser {
  readonly #init: FindServicesInit
  readonly #faults: FaultReport
  readonly #interfaces = new Map<string, InterfaceBrowser>()
  #cancelTick: () => void = () => { /* nothing is scheduled yet */ }
  #wake: () => void = () => { /* nobody waits yet */ }
  #hasEnded = false

  constructor (init: FindServicesInit) {
    this.#init = init
    this.#faults = new FaultReport(init.onProblem)
  }

  async run (signal: AbortSignal): Promise<void> {
    try {
      await readBus(this.#init.bus, signal, event => { this.#take(event) })
    } finally {
      this.#hasEnded = true
      this.#cancelTick()
      this.#wake()
    }
  }

  /** The next change; undefined at the end. */
  async next (): Promise<ServiceEvent | undefined> {
    while (!this.#hasEnded) {
      for (const [name, browser] of this.#interfaces) {
        const event = browser.nextChange()
        if (event !== undefined) return event
        if (browser.isDone) this.#interfaces.delete(name)
      }
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
    return undefined
  }

  #take (event: BusEvent): void {
    this.#faults.note(event)
    if (event.kind === 'fault') return
    const { interfaceName, zone } = event.link
    if (event.kind === 'up') {
      const { type, clock, random } = this.#init
      const browser = this.#interfaces.get(interfaceName) ??
        new InterfaceBrowser({ place: { type, interfaceName, zone }, random, nowMs: clock.monotonicMs() })
      this.#interfaces.set(interfaceName, browser)
      browser.askSoon(clock.monotonicMs())
    }
    if (event.kind === 'down' && !this.#init.bus.links.some(link => link.interfaceName === interfaceName)) {
      this.#interfaces.get(interfaceName)?.clear()
    }
    if (event.kind === 'datagram') this.#hear(event)
    this.#tick()
  }

  #hear ({ bytes, link, source }: Heard): void {
    // RFC 6762 section 11: only the own link counts.
    if (source.port !== this.#init.groupPort || !isOnLink(source.address, link)) return
    const message = decodeMessage(bytes)
    if (message?.kind === 'response') this.#interfaces.get(link.interfaceName)?.hear(message, this.#init.clock.monotonicMs())
  }

  /** Does what is due, and schedules the next time. */
  #tick (): void {
    const { clock } = this.#init
    const nowMs = clock.monotonicMs()
    let nextMs = Infinity
    for (const [interfaceName, browser] of this.#interfaces) {
      for (const message of browser.work(nowMs)) this.#send(message, interfaceName)
      nextMs = Math.min(nextMs, browser.nextMs(nowMs))
    }
    this.#cancelTick()
    if (nextMs < Infinity) this.#cancelTick = clock.schedule(Math.max(1, nextMs - nowMs), () => { this.#tick() })
    this.#wake()
  }

  #send (message: DnsMessage, interfaceName: string): void {
    const { bus } = this.#init
    for (const link of bus.links) {
      if (link.interfaceName === interfaceName) this.#faults.watch(link, bus.send(encodeMessage(message), link))
    }
  }
}
