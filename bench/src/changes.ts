import { appendFileSync, closeSync, openSync, readFileSync, readSync, renameSync, rmSync, statSync, utimesSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { photoBytes, scaled, writeOld } from './data-set.ts'
import type { DataSet, Recipe } from './data-set.ts'
import { SeededBytes } from './seeded-bytes.ts'
import { sourceText } from './source-text.ts'

/** What a change did, for the comparison afterwards. */
interface Changed {
  /** Paths whose content must be compared byte by byte. */
  readonly touched: readonly string[]
  /** The bytes that a program would send that compares names only. */
  readonly bytes: number
}

/** Changes a tree. Every round makes a different change and none undoes another, so that no side sees content it had before. */
export type Change = (set: DataSet, recipe: Recipe, round: number) => Changed

const DAY_SECONDS = 86_400
/** Later than every time in a data set, but long ago. */
const LATER_SECONDS = 1_650_000_000

/** Inserts one byte at the front: everything after it moves. */
export const insertFront: Change = (set, recipe, round) => {
  const path = 'large.bin'
  const full = join(set.root, path)
  const fresh = join(dirname(set.root), 'fresh.bin')
  const bytes = writeOld(fresh, prepended(new SeededBytes(recipe.seed, `insert ${round}`).take(1), full), laterSeconds(round))
  renameSync(fresh, full)
  return { touched: [path], bytes }
}

/** Appends 1 MiB. */
export const append: Change = (set, recipe, round) => {
  const path = 'large.bin'
  grow(join(set.root, path), new SeededBytes(recipe.seed, `append ${round}`).take(1 << 20), laterSeconds(round))
  return { touched: [path], bytes: statSync(join(set.root, path)).size }
}

/** Renames one directory. */
export const renameDirectory: Change = (set, _recipe, round) => {
  const inside = set.files.filter(path => path.startsWith('album/')).map(path => path.slice('album/'.length))
  const [from, to] = [round === 0 ? 'album' : `album-${round - 1}`, `album-${round}`]
  renameSync(join(set.root, from), join(set.root, to))
  const touched = inside.map(name => `${to}/${name}`)
  return { touched: touched.slice(0, 500), bytes: touched.reduce((sum, path) => sum + statSync(join(set.root, path)).size, 0) }
}

/** Gives one file in a hundred new content, and every second one of them another size. */
export const changeOnePercent: Change = (set, recipe, round) => {
  const random = new SeededBytes(recipe.seed, `one percent ${round}`)
  const touched: string[] = []
  let bytes = 0
  for (let at = random.below(100); at < set.files.length; at += 100) {
    const path = set.files[at] ?? ''
    const full = join(set.root, path)
    const { size } = statSync(full)
    bytes += writeOld(full, random.blocks(touched.length % 2 === 0 ? Math.max(1, size) : size + 100), laterSeconds(round))
    touched.push(path)
  }
  return { touched, bytes }
}

/** A day with the camera: adds 40 photos, and edits a hundred texts that belong to older ones. */
export const addPhotos: Change = (set, recipe, round) => {
  const random = new SeededBytes(recipe.seed, `photos ${round}`)
  const touched: string[] = []
  let bytes = 0
  const put = (path: string, content: Iterable<Uint8Array>): void => {
    bytes += writeOld(join(set.root, path), content, laterSeconds(round))
    touched.push(path)
  }
  for (let i = 0; i < scaled(40, recipe.scale); i++) {
    put(`2019/day-0/NEW_${round}_${i}.jpg`, random.blocks(photoBytes(random)))
    put(`2019/day-0/NEW_${round}_${i}.xmp`, [sourceText(random, 2000)])
  }
  const texts = set.files.filter(path => path.endsWith('.xmp'))
  for (const path of pick(random, texts, scaled(100, recipe.scale))) put(path, [sourceText(random, 2100)])
  return { touched, bytes }
}

/** A day of work: edits, adds and removes files, renames a module, adds a pack to the history, and appends to an old one. */
export const workADay: Change = (set, recipe, round) => {
  const random = new SeededBytes(recipe.seed, `work ${round}`)
  const present = set.files.filter(path => path.startsWith('modules/module-0/') || path.startsWith('modules/module-2/'))
  const seconds = laterSeconds(round)
  const touched: string[] = []
  let bytes = 0
  for (const path of pick(random, present, scaled(30, recipe.scale))) {
    const old = readFileSync(join(set.root, path))
    bytes += writeOld(join(set.root, path), [sourceText(random, 60), old], seconds)
    touched.push(path)
  }
  for (let i = 0; i < scaled(30, recipe.scale); i++) {
    const path = `modules/module-0/src/new-${round}-${i}.ts`
    bytes += writeOld(join(set.root, path), [sourceText(random, 3000)], seconds)
    touched.push(path)
  }
  // A full tree has these modules. A tiny one has no fourth module, and must keep the files of its first one.
  rmSync(join(set.root, `modules/module-3/src/part-${150 + round}.ts`), { force: true })
  if (set.files.some(path => path.startsWith('modules/module-1/'))) {
    const name = round === 0 ? 'modules/module-1' : `modules/module-1-${round - 1}`
    renameSync(join(set.root, name), join(set.root, `modules/module-1-${round}`))
  }
  grow(join(set.root, 'history/pack-1.pack'), random.take(scaled(1_000_000, recipe.scale)), seconds)
  bytes += writeOld(join(set.root, `history/pack-new-${round}.pack`), random.blocks(scaled(3_000_000, recipe.scale)), seconds)
  touched.push('history/pack-1.pack', `history/pack-new-${round}.pack`)
  return { touched, bytes: bytes + statSync(join(set.root, 'history/pack-1.pack')).size }
}

function laterSeconds (round: number): number {
  return LATER_SECONDS + round * DAY_SECONDS
}

function grow (path: string, tail: Uint8Array, seconds: number): void {
  appendFileSync(path, tail)
  utimesSync(path, seconds, seconds)
}

function pick (random: SeededBytes, from: readonly string[], count: number): string[] {
  const chosen = new Set<string>()
  for (let tries = 0; chosen.size < Math.min(count, from.length) && tries < 10 * count; tries++) {
    chosen.add(from[random.below(from.length)] ?? '')
  }
  return [...chosen]
}

function * prepended (head: Uint8Array, path: string): Generator<Uint8Array, void, undefined> {
  yield head
  const fd = openSync(path, 'r')
  try {
    const block = Buffer.allocUnsafe(1 << 20)
    for (let read = readSync(fd, block); read > 0; read = readSync(fd, block)) yield block.subarray(0, read)
  } finally {
    closeSync(fd)
  }
}
