import { randomBytes } from 'node:crypto'
import { ManualClock } from '@filesync/protocol/testing'
import { announce } from '../../src/announce.ts'
import type { Advertised } from '../../src/announce.ts'
import { announceDnsSd } from '../../src/filesync-type.ts'
import { findServers } from '../../src/find-servers.ts'
import type { FindInit } from '../../src/find-servers.ts'
import type { FoundServer } from '../../src/offer-table.ts'
import { memoryLink, MemoryNetwork } from '../../src/testing/memory-network.ts'
import type { MemoryBus, MemoryLink } from '../../src/testing/memory-network.ts'
import { turns } from './turns.ts'

/** Servers and clients on wires in memory, with one clock for all. */
export class MemoryHosts {
  readonly clock: ManualClock = new ManualClock()
  readonly network: MemoryNetwork = new MemoryNetwork()
  readonly #stop = new AbortController()
  readonly #running: Promise<void>[] = []

  get signal (): AbortSignal {
    return this.#stop.signal
  }

  /** A server that answers DISCOVER. */
  server (idPrefix: string, links: readonly MemoryLink[], more: Partial<Advertised> & { signal?: AbortSignal } = {}): MemoryBus {
    const bus = this.network.bus({ role: 'listen', links })
    this.#running.push(
      announce({ bus, clock: this.clock, tlsPort: 4433, idPrefix, isPairing: () => false, ...more, signal: this.#until(more.signal) })
    )
    return bus
  }

  /** A server announced by DNS-SD. */
  service (idPrefix: string, links: readonly MemoryLink[], more: Partial<Advertised> & { signal?: AbortSignal } = {}): MemoryBus {
    const bus = this.network.bus({ role: 'listen', links, port: 5353 })
    this.#running.push(
      announceDnsSd({
        bus,
        random: () => 0.5,
        clock: this.clock,
        tlsPort: 4433,
        idPrefix,
        isPairing: () => false,
        ...more,
        signal: this.#until(more.signal),
      })
    )
    return bus
  }

  /** A client that looks for servers; what it finds is in `found`, in order. */
  client (links: readonly MemoryLink[], more: Partial<FindInit> & { withDnsSd?: boolean } = {}): { found: FoundServer[], bus: MemoryBus } {
    const bus = this.network.bus({ role: 'ask', links })
    const found: FoundServer[] = []
    const dnsBus = more.withDnsSd === true ? this.network.bus({ role: 'listen', links, port: 5353 }) : undefined
    const servers = findServers({ bus, dnsBus, want: 'sync', randomBytes, clock: this.clock, signal: this.signal, ...more })
    this.#running.push((async () => { for await (const server of servers) found.push(server) })())
    return { found, bus }
  }

  #until (signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.signal : AbortSignal.any([this.signal, signal])
  }

  /** Lets time pass in small steps, and everything that falls due in it happen. */
  async pass (ms: number, stepMs = 50): Promise<void> {
    await turns()
    for (let passedMs = 0; passedMs <= ms; passedMs += stepMs) {
      this.clock.advance(Math.min(stepMs, ms - passedMs))
      await turns()
    }
  }

  /** Ends everything; rejects when any of it had failed. */
  async end (): Promise<void> {
    this.#stop.abort()
    await turns()
    await Promise.all(this.#running)
  }
}

export const idA = 'AAAAAAAAAAAAAAAA'
export const idB = 'BBBBBBBBBBBBBBBB'
export const onWire = (address: string, wire = 'wire'): MemoryLink[] => [memoryLink(`${address}/24`, 'eth0', wire)]
