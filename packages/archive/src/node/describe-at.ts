import type { FoundEntry } from '../store/content-store.ts'
import * as disk from './disk.ts'

/** Describes the entry at a name of a directory; undefined if there is none. */
export function describeAt (prefix: string, name: string): FoundEntry | undefined {
  const stat = disk.statAt(prefix, name)
  if (stat === undefined) return undefined
  const target = stat.kind === 'symlink' ? disk.targetAt(prefix, name) : ''
  return { name, kind: stat.kind, sizeBytes: stat.sizeBytes, mtimeNs: stat.mtimeNs, mode: stat.mode, target, birthtimeMs: stat.birthMs }
}
