import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Bench } from '../bench.ts'
import { writeOld } from '../data-set.ts'
import { contentOf, directoryCount, pathOf } from './tree-shape.ts'
import type { TreeShape } from './tree-shape.ts'
import type { FilesToWrite } from './write-files.ts'

/** Long ago, so that every file is settled. */
const OLD_SECONDS = 1_600_000_000
const HUNDRED = 100
/** Of each hundred files, this one is never changed by the change of one percent, so that it can be removed. */
const REMOVED_OF_HUNDRED = 99

/** Many files of ten bytes, and the changes to them. Every change differs from all earlier ones. */
export class LargeTree {
  readonly root: string
  readonly shape: TreeShape
  readonly #made: number
  #files: number
  #removed = 0
  #edition = 0

  private constructor (root: string, shape: TreeShape, files: number) {
    this.root = root
    this.shape = shape
    this.#made = files
    this.#files = files
  }

  /** Writes a tree into a new directory. The files are written by threads: a million takes some ten seconds. */
  static async make ({ home, seed, signal }: Bench, shape: TreeShape, files: number): Promise<LargeTree> {
    const tree = new LargeTree(join(mkdtempSync(join(home, 's-')), 'tree'), shape, files)
    mkdirSync(tree.root)
    const threads = Math.min(files, availableParallelism())
    await Promise.all(Array.from({ length: threads }, async (_, thread) => {
      const [from, to] = [thread, thread + 1].map(part => Math.floor(files * part / threads)) as [number, number]
      // Different seeds make different contents.
      await write({ root: tree.root, shape, from, to, edition: seed % HUNDRED, mtimeSeconds: OLD_SECONDS }, signal)
    }))
    tree.#edition = seed % HUNDRED
    return tree
  }

  /** The number of files now. */
  get files (): number {
    return this.#files
  }

  get directories (): number {
    return directoryCount(this.shape, this.#made)
  }

  path (file: number): string {
    return pathOf(this.shape, file % this.#made)
  }

  /**
   * Changes one file as programs do: every second time it is replaced by a new one of the same size, otherwise it grows. It gets
   * the present time. Returns its path.
   */
  changeOne (): string {
    const edition = this.#nextEdition()
    // A prime, so that the files are all over the tree.
    const path = this.path(Math.floor(this.#made / 2) + edition * 7919)
    if (edition % 2 === 0) {
      appendFileSync(join(this.root, path), 'x')
    } else {
      const fresh = join(dirname(this.root), 'fresh')
      appendFileSync(fresh, contentOf(0, edition))
      renameSync(fresh, join(this.root, path))
    }
    return path
  }

  /** Adds a file whose name is in the middle of those of its directory. */
  addOne (): void {
    const edition = this.#nextEdition()
    const path = `${this.path(Math.floor(this.#made / 2))}-${edition}`
    writeOld(join(this.root, path), [Buffer.from(contentOf(0, edition))], OLD_SECONDS + edition)
    this.#files++
  }

  removeOne (): void {
    const hundreds = Math.floor(this.#made / HUNDRED)
    const file = (Math.floor(hundreds / 2) + this.#removed) % hundreds * HUNDRED + REMOVED_OF_HUNDRED
    rmSync(join(this.root, this.path(file)))
    this.#removed++
    this.#files--
  }

  /** Gives one file in a hundred new content, and every second one of them another size. Returns their paths. */
  changeOnePercent (): string[] {
    const edition = this.#nextEdition()
    const paths: string[] = []
    for (let file = edition % REMOVED_OF_HUNDRED; file < this.#made; file += HUNDRED) {
      const path = this.path(file)
      const longer = paths.length % 2 === 0 ? '' : '++'
      writeOld(join(this.root, path), [Buffer.from(contentOf(file, edition) + longer)], OLD_SECONDS + edition)
      paths.push(path)
    }
    return paths
  }

  /** Adds as many empty directories as there were files at first. */
  addEmptyDirectories (): void {
    for (let i = 0; i < this.#made; i++) mkdirSync(join(this.root, `e${this.#edition}-${i}`))
    this.#nextEdition()
  }

  remove (): void {
    rmSync(dirname(this.root), { recursive: true })
  }

  #nextEdition (): number {
    return ++this.#edition
  }
}

async function write (files: FilesToWrite, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const thread = new Worker(new URL('./write-files.ts', import.meta.url), { workerData: files })
  const stop = (): void => { void thread.terminate() }
  signal.addEventListener('abort', stop)
  try {
    await once(thread, 'exit')
  } finally {
    signal.removeEventListener('abort', stop)
  }
  signal.throwIfAborted()
}
