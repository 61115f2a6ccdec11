import type { RecordStore } from '../record-store.ts'

/** Records that live as long as this object. The in-memory twin of a record file. */
export function memoryRecords <T>(): RecordStore<T> {
  let current: readonly T[] = []
  let last: Promise<unknown> = Promise.resolve()
  return {
    async read () {
      return current
    },
    async change (decide) {
      // One after the other, as under the lock of the file.
      const changing = last.then(async () => {
        const { records, result, before } = decide(current)
        await before?.()
        current = records
        return result
      })
      last = changing.catch(() => { /* reported to the caller of that change */ })
      return await changing
    },
  }
}
