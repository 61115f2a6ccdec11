import type { RecordStore } from '../record-store.ts'

/** Records that live as long as this object. The twin of a file of records. */
export function memoryRecords <T>(): RecordStore<T> {
  let current: readonly T[] = []
  return {
    async read () {
      return current
    },
    async change (decide) {
      const { records, result } = decide(current)
      current = records
      return result
    },
  }
}
