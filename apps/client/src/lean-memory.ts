import { setFlagsFromString } from 'node:v8'

/** From so many files on, what a sync throws away behind it is more than what it holds. */
const LARGE_TREE_FILES = 250_000
/** The engine of Node 26. Older ones may not know the mode, and would say so on standard error. */
const V8_WITH_MODE = 14

/**
 * Has the engine clean up sooner from now on, where a tree is large. Left alone it lets garbage grow into hundreds of
 * megabytes before it looks, because the machine has room; a client is a guest there. Measured on the first sync of
 * 1,000,000 tiny files: 240 instead of 414 MB at most, for half as much processor time again, so small trees are spared
 * it.
 */
export function leanMemory (files: number): void {
  if (files >= LARGE_TREE_FILES && Number.parseInt(process.versions.v8, 10) >= V8_WITH_MODE) setFlagsFromString('--memory-saver-mode')
}
