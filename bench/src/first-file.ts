import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '@filesync/protocol'
import type { Started } from './children.ts'

const LOOK_EVERY_MS = 5

/**
 * Polls every 5 ms until a file is stored in a directory under its final name, and returns the time since the start. Throws if
 * the client fails, or exits without storing a file.
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
  if (code !== 0) throw new Error(`The client exited with ${code}: ${stderr}${stdout}`)
  if (firstMs === undefined && !holdsFile(destination)) throw new Error('The client exited with 0, but stored no file.')
  return firstMs ?? performance.now() - startedMs
}

// A name that begins with a dot is that of a file that is still being received.
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
