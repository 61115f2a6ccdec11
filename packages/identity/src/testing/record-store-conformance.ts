import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import type { RecordStore } from '../record-store.ts'

/** Two ways to one and the same empty store, as two processes have them. */
export interface StorePair<T> {
  readonly stores: readonly [RecordStore<T>, RecordStore<T>]
  /** The n-th of any number of different records. */
  readonly make: (n: number) => T
}

/** What every {@link RecordStore} has to do. Each case gets a fresh pair. */
export const recordStoreConformance: readonly ConformanceCase<StorePair<unknown>>[] = [
  {
    name: 'is empty at first',
    async run ({ stores: [store] }) {
      ensure((await store.read()).length === 0, 'a new store holds records')
    },
  },
  {
    name: 'shows a change to everybody',
    async run ({ stores: [left, right], make }) {
      const result = await left.change(() => ({ records: [make(1)], result: 'told' }))
      ensure(result === 'told', 'the caller did not get the result')
      ensure(JSON.stringify(await right.read()) === JSON.stringify([make(1)]), 'the other one does not see the change')
    },
  },
  {
    name: 'loses no change of many at once',
    async run ({ stores, make }) {
      const count = 20
      await Promise.all(Array.from({ length: count }, async (_, n) => {
        await stores[n % 2 === 0 ? 0 : 1].change(records => ({ records: [...records, make(n)], result: undefined }))
      }))
      ensure((await stores[0].read()).length === count, 'a change was lost')
    },
  },
  {
    name: 'changes nothing when the decision throws',
    async run ({ stores: [store], make }) {
      await store.change(() => ({ records: [make(1)], result: undefined }))
      const reason = new Error('no')
      const thrown = await store.change(() => { throw reason }).then(() => undefined, (error: unknown) => error)
      ensure(thrown === reason, 'the error was not passed on')
      ensure((await store.read()).length === 1, 'the records changed')
      await store.change(records => ({ records: [...records, make(2)], result: undefined }))
      ensure((await store.read()).length === 2, 'the store is of no use afterwards')
    },
  },
]
