import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'
import type { RecordStore } from '../record-store.ts'

/** Two accesses to the same empty store, as by two processes. */
export interface StorePair<T> {
  readonly stores: readonly [RecordStore<T>, RecordStore<T>]
  /** The n-th record; all records differ. */
  readonly make: (n: number) => T
}

/** What every {@link RecordStore} must do. Each case gets a fresh pair. */
export const recordStoreConformance: readonly ConformanceCase<StorePair<unknown>>[] = [
  {
    name: 'is empty at first',
    async run ({ stores: [store] }) {
      ensure((await store.read()).length === 0, 'a new store holds records')
    },
  },
  {
    name: 'shows a change to all users of the store',
    async run ({ stores: [left, right], make }) {
      const result = await left.change(() => ({ records: [make(1)], result: 'done' }))
      ensure(result === 'done', 'the caller did not receive the result')
      ensure(JSON.stringify(await right.read()) === JSON.stringify([make(1)]), 'the other user does not see the change')
    },
  },
  {
    name: 'loses none of many concurrent changes',
    async run ({ stores, make }) {
      const count = 20
      await Promise.all(Array.from({ length: count }, async (_, n) => {
        await stores[n % 2 === 0 ? 0 : 1].change(records => ({ records: [...records, make(n)], result: undefined }))
      }))
      ensure((await stores[0].read()).length === count, 'a change was lost')
    },
  },
  {
    name: 'changes nothing if the decision throws',
    async run ({ stores: [store], make }) {
      await store.change(() => ({ records: [make(1)], result: undefined }))
      const reason = new Error('no')
      const thrown = await store.change(() => { throw reason }).then(() => undefined, (error: unknown) => error)
      ensure(thrown === reason, 'the error was not passed on')
      ensure((await store.read()).length === 1, 'the records changed')
      await store.change(records => ({ records: [...records, make(2)], result: undefined }))
      ensure((await store.read()).length === 2, 'the store is unusable afterwards')
    },
  },
]
