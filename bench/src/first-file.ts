import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '@filesync/protocol'
import type { Started } from './children.ts'

const LOOK_EVERY_MS = 5

/**
 * Looks every 5 ms until a file stands in a directory under its own name, and returns how long after the start that was.
 * Throws where the client ends badly, or ends without that any file was seen.
 */
export async function timeToFirstFile (client: Started, destination: string): Promise<number> {
  const startedMs = performance.now()
  let firstMs: number | undefined
  let isRunning = true
  const ended = client.ended.finally(() => { isRunning = false })
  ended.catch(() => { /* awaited below */ })
  while (isRunning && firstMs === undefined) {
    if (holdsFile(destination)) firstMs = performance.now() - startedMs
    else await sleep(LOOK_EVERY_MS)
  }
  const { code, stdout, stderr } = await ended
  if (code !== 0) throw new Error(`The client ended with ${code}: ${stderr}${stdout}`)
  if (firstMs === undefined && !holdsFile(destination)) throw new Error('The client ended well, but no file was stored.')
  return firstMs ?? performance.now() - startedMs
}

// A name with a dot in front is the name of a file that is still being received.
function holdsFile (directory: string): boolean {
  const inside: string[] = []
  for (const entry of entriesOf(directory)) {
    if (entry.isFile() && !entry.name.startsWith('.')) return true
    if (entry.isDirectory()) inside.push(join(directory, entry.name))
  }
  return inside.some(holdsFile)
}

function entriesOf (directory: string): ReturnType<typeof readEntries> {
  try {
    return readEntries(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

function readEntries (directory: string) {
  return readdirSync(directory, { withFileTypes: true })
}
