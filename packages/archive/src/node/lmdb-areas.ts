import type { Database } from 'lmdb'
import { keysOf } from './lmdb-records.ts'

/** The databases of an index: one has a record for each area under its name, the others have keys that begin with the area. */
export interface AreaDatabases {
  readonly areas: Database<unknown, Buffer>
  readonly others: readonly Database<unknown, Buffer>[]
}

/** Moves all records of an area to another name. To be called in a transaction. */
export function moveArea ({ areas, others }: AreaDatabases, from: string, record: { readonly to: string, readonly value: unknown }): void {
  const { to, value } = record
  const prefixBytes = Buffer.byteLength(from)
  for (const database of others) {
    for (const key of keysIn(database, from)) {
      const held = database.get(key)
      // What lmdb returns may be in memory that it is about to change.
      database.putSync(Buffer.concat([Buffer.from(to), key.subarray(prefixBytes)]), Buffer.isBuffer(held) ? Buffer.from(held) : held)
      database.removeSync(key)
    }
  }
  areas.removeSync(Buffer.from(from))
  areas.putSync(Buffer.from(to), value)
}

/** Removes all records of an area. To be called in a transaction. */
export function forgetArea ({ areas, others }: AreaDatabases, area: string): void {
  for (const database of others) for (const key of keysIn(database, area)) database.removeSync(key)
  areas.removeSync(Buffer.from(area))
}

/** All keys of an area, read before any of them changes. */
function keysIn (database: Database<unknown, Buffer>, area: string): Buffer[] {
  return [...database.getKeys(keysOf(area))].map(key => Buffer.from(key))
}
