import type { Entry } from '@filesync/protocol'
import { hashBytes } from '@filesync/protocol/node'
import type { Snapshot } from '@filesync/scanner'
import { listedEntries } from '../../src/testing/listed-entries.ts'

/** All entries by path. Throws if a digest is not that of its listing. */
export function entries (snapshot: Snapshot): Map<string, Entry> {
  return listedEntries(snapshot, hashBytes)
}

export function paths (snapshot: Snapshot): string[] {
  return [...entries(snapshot).keys()]
}

export function leftOut (snapshot: Snapshot): string[] {
  return snapshot.leftOut.first.map(({ path, code }) => `${path} ${code}`)
}

export function problems (snapshot: Snapshot): string[] {
  return snapshot.problems.map(({ path, code }) => `${path} ${code}`)
}
