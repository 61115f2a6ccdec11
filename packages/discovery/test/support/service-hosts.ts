import { ManualClock, seededRandom } from '@filesync/protocol/testing'
import { ServiceAnnouncer } from '../../src/dns-sd/announcer.ts'
import type { AnnounceServiceInit } from '../../src/dns-sd/announcer.ts'
import { decodeMessage, encodeMessage } from '../../src/dns-sd/dns-message.ts'
import type { DnsMessage } from '../../src/dns-sd/dns-message.ts'
import { findServices } from '../../src/dns-sd/find-services.ts'
import type { ServiceEvent } from '../../src/dns-sd/find-services.ts'
import type { AnnouncedService } from '../../src/dns-sd/service-records.ts'
import { txtItems } from '../../src/dns-sd/txt.ts'
import type { TxtInput } from '../../src/dns-sd/txt.ts'
import { memoryLink, MemoryNetwork } from '../../src/testing/memory-network.ts'
import type { MemoryBus, MemoryLink } from '../../src/testing/memory-network.ts'
import { turns } from './turns.ts'

export interface AnnouncedHost {
  readonly announcer: ServiceAnnouncer
  readonly bus: MemoryBus
  /** The properties as of now. */
  txt: TxtInput
  /** Says goodbye. */
  stop (): void
}

/** Machines in memory that announce and find services of one type, with one clock for all. */
export class ServiceHosts {
  readonly clock: ManualClock = new ManualClock()
  readonly network: MemoryNetwork = new MemoryNetwork()
  readonly #stop = new AbortController()
  readonly #running: Promise<void>[] = []
  readonly #random: () => number

  constructor (seed: number) {
    this.#random = seededRandom(seed)
  }

  announce (address: string, more: Partial<AnnouncedService> & Pick<Partial<AnnounceServiceInit>, 'onRename'> = {}): AnnouncedHost {
    const bus = this.network.bus({ role: 'listen', links: this.links(address), port: 5353 })
    const stop = new AbortController()
    const host: { txt: TxtInput } = { txt: { rp: 'ipp/print' } }
    const label = `host-${address.replaceAll(/[.:]/gu, '-')}`
    const announcer = new ServiceAnnouncer({
      bus, groupPort: 5353, probes: true, clock: this.clock, random: this.#random,
      signal: AbortSignal.any([this.#stop.signal, stop.signal]), onRename: more.onRename,
      service: () => ({ type: '_ipp._tcp.local', name: 'Printer', host: label, port: 631, texts: txtItems(host.txt, 'txt'), ...more }),
    })
    this.#running.push(announcer.run())
    return Object.assign(host, { announcer, bus, stop: () => { stop.abort() } })
  }

  /** Follows the services of the type; the events are in `events`, in order. */
  find (address: string): { readonly events: ServiceEvent[], readonly bus: MemoryBus } {
    const bus = this.network.bus({ role: 'listen', links: this.links(address), port: 5353 })
    const events: ServiceEvent[] = []
    const found = findServices({
      bus, groupPort: 5353, type: '_ipp._tcp', clock: this.clock, random: this.#random, signal: this.#stop.signal,
    })
    this.#running.push((async () => { for await (const event of found) events.push(event) })())
    return { events, bus }
  }

  links (address: string): MemoryLink[] {
    return [memoryLink(`${address}/${address.includes(':') ? 64 : 24}`)]
  }

  /** Puts a message on the wire, from a machine that does nothing else. */
  say (message: DnsMessage, from = '10.0.0.99'): void {
    this.network.inject('wire', { address: from, port: 5353 }, { to: 'group', bytes: encodeMessage(message) })
  }

  /** What was sent from some moment on. */
  heard (from = 0): { readonly address: string, readonly message: DnsMessage }[] {
    return this.network.sent.slice(from).flatMap(({ from: { address }, bytes }) => {
      const message = decodeMessage(bytes)
      return message === undefined ? [] : [{ address, message }]
    })
  }

  /** Lets time pass in small steps, and everything that falls due in it happen. */
  async pass (ms: number, stepMs = 50): Promise<void> {
    await turns()
    for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - passedMs))
      await turns()
    }
  }

  /** Ends everything; rejects if any of it had failed. */
  async end (): Promise<void> {
    this.#stop.abort()
    await turns()
    await Promise.all(this.#running)
  }
}
