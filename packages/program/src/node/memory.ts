import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { wrapConnection } from '@filesync/protocol'
import type { Connection } from '@filesync/protocol'

/*
 * When memory is given back: what the engine does by itself is measured against what it does with these calls. How much the
 * heap may grow between full collections is one setting of the process, so the parts that change it live together.
 */

/** Number of files from which a sync discards more memory than it holds. */
const LARGE_TREE_FILES = 250_000
/**
 * How much the heap may grow before a full collection while a large tree is processed. Measured on the server with a million
 * files: the engine's own choice in this mode takes 50 s of processor time and 341 MB, 30 percent 46 s, 100 percent 34 s and
 * 401 MB.
 */
const LARGE_TREE_GROWTH_PERCENT = 30
/** The engine of Node 26. Older ones may not know the mode, and would say so on standard error. */
const V8_WITH_MODE = 14

/** The engine collects the whole heap when buffers outside it have grown by twice as much. */
const MINOR_EVERY_BYTES = 16 << 20
/** Small frames make garbage too. */
const MINOR_EVERY_FRAMES = 64
/** With a small heap, frames in flight made the engine run full collections without pause once it had started. */
const RECEIVING_GROWTH_PERCENT = 300

/** Heap growth over a session from which memory is returned to the system: the session had a large tree. */
const LARGE_GROWTH_BYTES = 64 << 20

type Collect = (
  options: { readonly type: 'minor' } | { readonly type: 'major', readonly execution: 'async', readonly flavor: 'last-resort' }
) => unknown

/**
 * Lets each thread collect its young garbage alone. By default the engine gives each thread as many helpers as there are
 * processors; in a program whose threads are all busy they compete with them. Measured on a first sync of 100,000 files: a
 * thirtieth of the processor time.
 */
export function disableParallelCollection (): void {
  setFlagsFromString('--no-parallel-scavenge')
}

let growthPercent = 0
let largeTrees = 0

/**
 * How much the heap may grow before a full collection; takes effect once no large tree is processed. By default the engine
 * chooses between 1.3 and 4 times by the cost of its collections, and counts memory outside the heap.
 */
export function setHeapGrowth (percent: number): void {
  growthPercent = percent
  if (largeTrees === 0) applyHeapGrowth(percent)
}

/**
 * Makes the engine collect sooner while a large tree is processed. By default it lets garbage grow into hundreds of megabytes
 * first, because the machine has the memory. Measured on the first sync of 1,000,000 tiny files: the client takes at most 260
 * instead of 414 MB, the server 330 to 360 instead of 570, for 46 instead of 33 s of processor time; so small trees are exempt.
 *
 * @returns ends it
 */
export function saveMemory (files: number): () => void {
  if (files < LARGE_TREE_FILES || Number.parseInt(process.versions.v8, 10) < V8_WITH_MODE) return () => { /* nothing was begun */ }
  largeTrees++
  setFlagsFromString('--memory-saver-mode')
  applyHeapGrowth(LARGE_TREE_GROWTH_PERCENT)
  let isOver = false
  return () => {
    if (isOver) return
    isOver = true
    if (--largeTrees > 0) return
    setFlagsFromString('--no-memory-saver-mode')
    applyHeapGrowth(growthPercent)
  }
}

/** 0 leaves the choice to the engine. */
function applyHeapGrowth (percent: number): void {
  setFlagsFromString(`--heap-growing-percent=${percent}`)
}

/**
 * The same connection, with minor collections as data arrives. TLS delivers data in 16 KiB buffers that are garbage at once,
 * but so little of them is in the heap that it does not fill up: the engine sees only memory outside it grow, and runs full
 * collections. Measured on a first sync of 100,000 files: 68 full collections, and 17 with this; on a file of 2 GiB, 1 to 62
 * by chance, and 1 if the heap is free to grow.
 */
export function collectWhileReceiving (connection: Connection): Connection {
  const collect = garbageCollector()
  if (collect === undefined) return connection
  let collectedAt = connection.bytesReceived
  let frames = 0
  return wrapConnection(connection, {
    next: async () => {
      const incoming = await connection.next()
      if (++frames >= MINOR_EVERY_FRAMES || connection.bytesReceived - collectedAt >= MINOR_EVERY_BYTES) {
        collectedAt = connection.bytesReceived
        frames = 0
        collect({ type: 'minor' })
      }
      return incoming
    },
  })
}

/**
 * Returns memory to the system after work that made the heap grow by much. By default the engine keeps a grown heap until it
 * is used again, which for a server that waits for its clients may be never.
 *
 * @returns to be called when the work is over
 */
export function prepareMemoryRelease (): () => void {
  const collect = garbageCollector()
  const startBytes = process.memoryUsage().heapUsed
  return () => {
    if (collect === undefined || process.memoryUsage().heapUsed - startBytes < LARGE_GROWTH_BYTES) return
    // Asynchronous: what the caller still references can only be collected after it has returned.
    collect({ type: 'major', execution: 'async', flavor: 'last-resort' })
  }
}

let found: { readonly collect: Collect | undefined } | undefined

/** The engine exposes its collector only with a flag; undefined if it does not know the flag. */
function garbageCollector (): Collect | undefined {
  if (found === undefined) {
    setFlagsFromString('--expose-gc')
    setHeapGrowth(RECEIVING_GROWTH_PERCENT)
    const collect: unknown = runInNewContext('typeof gc === "function" ? gc : undefined')
    found = { collect: collect as Collect | undefined }
  }
  return found.collect
}
