import { readFileSync } from 'node:fs'
import { parseMountTable } from '../mount-table.ts'
import type { MountTable } from '../mount-table.ts'
import { isSystemFault } from '../system-fault.ts'

const PATH = '/proc/self/mountinfo'

/** The text of the system's mount table; undefined if it has none, or does not show it. */
export function mountTableText (): string | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    // Names are bytes; those that are not UTF-8 cannot be in a source anyway.
    return readFileSync(PATH, 'utf8')
  } catch (error) {
    if (isSystemFault(error)) return undefined
    throw error
  }
}

/** The mount points below a directory. */
export function mountTable (root: string): MountTable | undefined {
  const text = mountTableText()
  return text === undefined ? undefined : parseMountTable(text, root)
}
