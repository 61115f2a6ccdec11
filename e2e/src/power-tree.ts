import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errnoOf } from '@filesync/protocol'
import { seededRandom } from '@filesync/protocol/testing'
import { digestOf } from './chaos.ts'

const SMALL_BYTES = 12_000
/** Each of them travels as a stream, and waits as an unfinished file if it is broken off. */
const LARGE_MIB = [5, 8, 12]
/** The time of the first file; long past, so that nothing waits to settle. */
const FIRST_S = 1_600_000_000

/** A tree that changes, and what an archive may hold of it after a power cut. */
export class PowerTree {
  readonly root: string
  readonly #files: number
  readonly #random: () => number
  #clockS = FIRST_S
  /** Digests of what is there now, and of what was there when everything was last said to be stored. */
  #now = new Map<string, string>()
  #stored = new Map<string, string>()
  /** Of what was written since everything was last stored. */
  pendingBytes = 0

  constructor (root: string, files: number, random: () => number) {
    this.root = root
    this.#files = files
    this.#random = random
  }

  /** Everything that is there now was said to be stored. */
  wasStored (): void {
    this.#stored = new Map(this.#now)
    this.pendingBytes = 0
  }

  /** Writes, rewrites and removes some files. */
  async change (share: number): Promise<void> {
    for (let n = 0; n < this.#files; n++)
      if (this.#random() < share) await this.#write(`d${n % 9}/s${n % 5}/f${n}`, 1 + Math.floor(this.#random() * SMALL_BYTES))
    for (const [n, mib] of LARGE_MIB.entries())
      if (!this.#now.has(`large${n}`) || this.#random() < 0.5) await this.#write(`large${n}`, mib << 20)
    for (const path of [...this.#now.keys()]) {
      if (path.startsWith('large') || this.#random() >= share / 8) continue
      await rm(join(this.root, path))
      this.#now.delete(path)
    }
    // New directories, whose files are placed with one rename.
    for (let n = 0; n < 2; n++)
      for (let f = 0; f < 12; f++) await this.#write(`new${this.#clockS}/f${f}`, 1 + Math.floor(this.#random() * SMALL_BYTES))
  }

  /**
   * What is wrong with an archive after a cut, one line each: a file that was said to be stored and is neither there nor
   * replaced by what is there now, old content without a version, and fewer new files than were said to be stored.
   *
   * @param acknowledged files of the push that was cut off which the server said were stored
   */
  async faultsOf (archive: string, area: string, acknowledged: number): Promise<string[]> {
    const folder = basename(this.root)
    const mirror = await contentsBelow(join(archive, area, folder))
    const versions = await versionsBelow(join(archive, '.filesync', 'versions', area), folder)
    const faults: string[] = []
    let arrived = 0
    for (const path of new Set([...this.#now.keys(), ...this.#stored.keys(), ...mirror.keys()])) {
      const [found, now, stored] = [mirror.get(path), this.#now.get(path), this.#stored.get(path)]
      if (found !== undefined && found === now && now !== stored) arrived++
      if (found !== undefined && found !== now && found !== stored) faults.push(`${path} holds something that it never held`)
      if (found === undefined && now !== undefined && stored !== undefined) faults.push(`${path} was stored, and is gone`)
      if (found !== stored && stored !== undefined && versions.get(path)?.has(stored) !== true)
        faults.push(`the old content of ${path} is in no version`)
    }
    if (arrived < acknowledged) faults.push(`${acknowledged} files were said to be stored, and ${arrived} are there`)
    return faults
  }

  async #write (path: string, sizeBytes: number): Promise<void> {
    const content = noise(sizeBytes, Math.floor(this.#random() * 2 ** 32))
    await mkdir(dirname(join(this.root, path)), { recursive: true })
    await writeFile(join(this.root, path), content)
    const timeS = this.#clockS++
    await utimes(join(this.root, path), timeS, timeS)
    this.#now.set(path, digestOf(content))
    this.pendingBytes += sizeBytes
  }
}

/** Bytes that do not compress and hold no zeros, as which lost ones come back. */
function noise (sizeBytes: number, seed: number): Uint8Array {
  const { below } = seededRandom(seed)
  const block = new Uint8Array(Math.min(sizeBytes, 1 << 16)).map(() => 1 + below(255))
  const bytes = Buffer.alloc(sizeBytes)
  for (let at = 0; at < sizeBytes; at += block.length) {
    bytes.set(block.subarray(0, sizeBytes - at), at)
    if (at + 4 <= sizeBytes) bytes.writeUInt32LE((at | 0x8000_0001) >>> 0, at)
  }
  return bytes
}

/** Paths of all files below a directory, with the digests of their contents; none where there is no such directory. */
async function contentsBelow (root: string): Promise<Map<string, string>> {
  const contents = new Map<string, string>()
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true }).catch(noneIfAbsent)) {
    if (!entry.isFile()) continue
    const full = join(entry.parentPath, entry.name)
    contents.set(full.slice(root.length + 1), digestOf(await readFile(full)))
  }
  return contents
}

async function versionsBelow (root: string, folder: string): Promise<Map<string, Set<string>>> {
  const versions = new Map<string, Set<string>>()
  for (const stamp of await readdir(root).catch(noneIfAbsent)) {
    const contents = await contentsBelow(join(root, stamp, folder))
    for (const [path, digest] of contents) versions.set(path, (versions.get(path) ?? new Set()).add(digest))
  }
  return versions
}

function noneIfAbsent (error: unknown): [] {
  if (errnoOf(error) === 'ENOENT') return []
  throw error
}
