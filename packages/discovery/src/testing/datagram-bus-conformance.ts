import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import type { BusEvent, DatagramBus } from '../datagram-bus.ts'

/** A listener and an asker with at least one link in common. */
export interface BusPair {
  readonly listener: DatagramBus
  readonly asker: DatagramBus
}

async function nextOf <K extends BusEvent['kind']>(bus: DatagramBus, kind: K): Promise<Extract<BusEvent, { kind: K }>> {
  for (let event = await bus.next(); event !== undefined; event = await bus.next()) {
    if (event.kind === kind) return event as Extract<BusEvent, { kind: K }>
  }
  throw new Error(`the bus was closed before it reported "${kind}"`)
}

function firstLink (bus: DatagramBus): DatagramBus['links'][number] {
  const [link] = bus.links
  ensure(link !== undefined, 'the bus has no link')
  return link
}

/** What every {@link DatagramBus} must do. Each case gets a fresh pair. */
export const datagramBusConformance: readonly ConformanceCase<BusPair>[] = [
  {
    name: 'reports the links that are in use from the start',
    async run ({ listener, asker }) {
      for (const bus of [listener, asker]) {
        const { link } = await nextOf(bus, 'up')
        ensure(bus.links.some(other => other.address === link.address), 'the link that came up is not among the links')
      }
    },
  },
  {
    name: 'carries a question to the group, and the answer back to the asker alone',
    async run ({ listener, asker }) {
      await asker.send(Uint8Array.of(1, 2, 3), firstLink(asker))
      const question = await nextOf(listener, 'datagram')
      ensure(question.bytes.join() === '1,2,3', 'the question is not what was sent')
      await listener.send(Uint8Array.of(4), question.link, question.source)
      const answer = await nextOf(asker, 'datagram')
      ensure(answer.bytes.join() === '4', 'the answer is not what was sent')
      ensure(answer.link.interfaceName === question.link.interfaceName, 'the answer came over another interface')
    },
  },
  {
    name: 'rejects a datagram for a link that is not up',
    async run ({ asker }) {
      const gone = { ...firstLink(asker), address: '198.51.100.7', interfaceName: 'nowhere' }
      const code = await asker.send(Uint8Array.of(1), gone).then(() => 'sent', (error: { code: string }) => error.code)
      ensure(code === 'DISCOVERY_UNAVAILABLE', `sending over no link ended with ${code}`)
    },
  },
  {
    name: 'ends its reader when it is closed, and may be closed twice',
    async run ({ asker, listener }) {
      await nextOf(asker, 'up')
      const reading = (async () => { while (await asker.next() !== undefined) { /* until the end */ } })()
      await asker.close()
      await asker.close()
      await reading
      ensure(asker.links.length === 0, 'a closed bus still has links')
      await listener.close()
      ensure(await listener.next() === undefined, 'a closed bus still reports events')
    },
  },
]
