import { closeSync, futimesSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { workerData } from 'node:worker_threads'
import { contentOf, pathOf } from './tree-shape.ts'
import type { TreeShape } from './tree-shape.ts'

/** A part of a tree, for one thread. */
export interface FilesToWrite {
  readonly root: string
  readonly shape: TreeShape
  readonly from: number
  /** Exclusive. */
  readonly to: number
  readonly edition: number
  readonly mtimeSeconds: number
}

// A thread of large-tree.ts. Synchronous calls cost a quarter of the asynchronous ones.
const { root, shape, from, to, edition, mtimeSeconds } = workerData as FilesToWrite
let made = ''
for (let file = from; file < to; file++) {
  const path = join(root, pathOf(shape, file))
  const directory = dirname(path)
  if (directory !== made) mkdirSync(directory, { recursive: true })
  made = directory
  const fd = openSync(path, 'w')
  writeSync(fd, contentOf(file, edition))
  futimesSync(fd, mtimeSeconds, mtimeSeconds)
  closeSync(fd)
}
