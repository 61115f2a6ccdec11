import { closeSync, futimesSync, mkdirSync, openSync, utimesSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { SeededBytes } from './seeded-bytes.ts'
import { sourceText } from './source-text.ts'

/** The input of a data set. The same recipe makes the same tree. */
export interface Recipe {
  readonly seed: number
  /** 1 is full size; file counts and the sizes of large files shrink with it. */
  readonly scale: number
  readonly signal: AbortSignal
}

/** A tree on disk. */
export interface DataSet {
  readonly root: string
  /** Paths below the root, in the order of creation. */
  readonly files: readonly string[]
  readonly bytes: number
}

/** Long ago, so that every file is settled. */
const OLD_SECONDS = 1_600_000_000
const YEAR_SECONDS = 31_536_000
/** The event loop runs after this many files, so that Ctrl-C is noticed. */
const FILES_PER_TICK = 500

interface Scattered {
  readonly files: number
  readonly directories: number
  readonly medianBytes: number
  readonly sigma: number
}

const SMALL: Scattered = { files: 100_000, directories: 814, medianBytes: 4096, sigma: 1.406 }
const MILLION: Scattered = { files: 1_000_000, directories: 8000, medianBytes: 256, sigma: 1 }
const BESIDE_ALBUM: Scattered = { ...SMALL, files: 20_000, directories: 163 }
const ALBUM_FILES = 10_000
const LARGE_BYTES = 2 ** 31
const PHOTOS = 1000
const SOURCE_FILES = 20_000
const PACK_BYTES = [200_000_000, 40_000_000, 5_000_000]

/** Writes files with old times, and counts them. */
class TreeWriter implements DataSet {
  readonly root: string
  readonly files: string[] = []
  bytes = 0
  readonly #random: SeededBytes
  readonly #signal: AbortSignal
  readonly #directories = new Set<string>()

  constructor (root: string, label: string, recipe: Recipe) {
    this.root = root
    this.#random = new SeededBytes(recipe.seed, label)
    this.#signal = recipe.signal
    mkdirSync(root, { recursive: true })
  }

  get random (): SeededBytes {
    return this.#random
  }

  directory (path: string): void {
    mkdirSync(join(this.root, path), { recursive: true })
    this.#directories.add(path)
  }

  async file (path: string, content: Iterable<Uint8Array>): Promise<void> {
    this.bytes += writeOld(join(this.root, path), content, OLD_SECONDS + this.#random.below(YEAR_SECONDS))
    this.files.push(path)
    if (this.files.length % FILES_PER_TICK === 0) await setImmediate()
    this.#signal.throwIfAborted()
  }

  /** Call this at the end: creating files has changed the times of their directories. */
  finish (): DataSet {
    for (const path of [...this.#directories, '.']) utimesSync(join(this.root, path), OLD_SECONDS, OLD_SECONDS)
    return this
  }
}

/** Writes a file with this modification time, and returns its size. */
export function writeOld (path: string, content: Iterable<Uint8Array>, seconds: number): number {
  const fd = openSync(path, 'w')
  let bytes = 0
  try {
    for (const block of content) {
      for (let at = 0; at < block.length;) at += writeSync(fd, block, at)
      bytes += block.length
    }
    futimesSync(fd, seconds, seconds)
  } finally {
    closeSync(fd)
  }
  return bytes
}

/** Random files with log-normal sizes, spread over directories up to six deep. */
export async function makeSmallFiles (root: string, recipe: Recipe): Promise<DataSet> {
  return await scatter(new TreeWriter(root, 'small', recipe), SMALL, recipe.scale)
}

/** A million tiny files: only their number matters. */
export async function makeMillion (root: string, recipe: Recipe): Promise<DataSet> {
  return await scatter(new TreeWriter(root, 'million', recipe), MILLION, recipe.scale)
}

/** Some small files, and the directory `album` with more files, which will be renamed. */
export async function makeAlbum (root: string, recipe: Recipe): Promise<DataSet> {
  const writer = new TreeWriter(root, 'album', recipe)
  const files = scaled(ALBUM_FILES, recipe.scale)
  await scatter(writer, BESIDE_ALBUM, recipe.scale)
  writer.directory('album')
  for (let i = 0; i < files; i++) await writer.file(`album/picture-${i}.raw`, writer.random.blocks(writer.random.logNormal(4096, 1.406)))
  return writer.finish()
}

/** One file that does not compress. */
export async function makeLargeFile (root: string, recipe: Recipe): Promise<DataSet> {
  const writer = new TreeWriter(root, 'large', recipe)
  await writer.file('large.bin', writer.random.blocks(scaled(LARGE_BYTES, recipe.scale)))
  return writer.finish()
}

/** Photos of 2 to 8 MB that do not compress, each with a small text file, in one folder per day. */
export async function makePhotos (root: string, recipe: Recipe): Promise<DataSet> {
  const writer = new TreeWriter(root, 'photos', recipe)
  const photos = scaled(PHOTOS, recipe.scale)
  for (let i = 0; i < photos; i++) {
    const day = `2019/day-${Math.floor(i / 40)}`
    if (i % 40 === 0) writer.directory(day)
    await writer.file(`${day}/IMG_${i}.jpg`, writer.random.blocks(photoBytes(writer.random)))
    await writer.file(`${day}/IMG_${i}.xmp`, [sourceText(writer.random, 2000)])
  }
  return writer.finish()
}

/** From 2 to 8 MB, small ones more often. */
export function photoBytes (random: SeededBytes): number {
  return Math.round(2_000_000 * 4 ** random.fraction())
}

/** Many small text files, and packed history: a few large files that do not compress and that grow at the end. */
export async function makeSourceTree (root: string, recipe: Recipe): Promise<DataSet> {
  const writer = new TreeWriter(root, 'source', recipe)
  const files = scaled(SOURCE_FILES, recipe.scale)
  for (let i = 0; i < files; i++) {
    const directory = `modules/module-${Math.floor(i / 50)}/${i % 50 < 30 ? 'src' : 'test'}`
    if (i % 50 === 0 || i % 50 === 30) writer.directory(directory)
    await writer.file(`${directory}/part-${i}.ts`, [sourceText(writer.random, Math.min(writer.random.logNormal(3000, 1), 1 << 19))])
  }
  writer.directory('history')
  for (const [i, bytes] of PACK_BYTES.entries()) {
    await writer.file(`history/pack-${i}.pack`, writer.random.blocks(scaled(bytes, recipe.scale)))
  }
  return writer.finish()
}

async function scatter (writer: TreeWriter, of: Scattered, scale: number): Promise<DataSet> {
  const { random } = writer
  const directories: string[] = []
  for (let i = 0; i < scaled(of.directories, scale); i++) {
    const parent = i < 8 ? undefined : directories[random.below(i)]
    const name = `d${i}`
    directories.push(parent === undefined || parent.split('/').length >= 6 ? name : `${parent}/${name}`)
    writer.directory(directories[i] ?? name)
  }
  for (let i = 0; i < scaled(of.files, scale); i++) {
    const directory = directories[random.below(directories.length)] ?? '.'
    await writer.file(`${directory}/file-${i}.bin`, random.blocks(random.logNormal(of.medianBytes, of.sigma)))
  }
  return writer.finish()
}

/** A full size multiplied by the scale, at least 1. */
export function scaled (full: number, scale: number): number {
  return Math.max(1, Math.round(full * scale))
}
