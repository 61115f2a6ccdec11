import { joinPath, readListing, ROOT_PATH, splitPath } from '@filesync/protocol'
import type { Entry, Name, RelativePath } from '@filesync/protocol'
import type { ArchiveIndex } from './archive-index.ts'
import type { ContentStore, DirectoryState } from './content-store.ts'
import { damagesBelow, openDamageAt } from './damage.ts'
import type { Damage } from './damage.ts'
import { FACT_BYTES, readFact } from './facts.ts'
import { isUnknown } from './unknown-entry.ts'

/** Stores tell times more coarsely than clocks do. */
const GRAIN_MS = 1000
const DAY_MS = 86_400_000

/** What there was of an area at a moment. */
export interface PastState {
  /** Files and links, each with the end of the version that holds it; undefined where the mirror still does. */
  readonly files: ReadonlyMap<RelativePath, number | undefined>
  readonly directories: ReadonlyMap<RelativePath, DirectoryState>
  /** Those of the files of which the copy that the store has was known not to be as it was stored. */
  readonly damages: ReadonlyMap<RelativePath, Damage>
}

export interface PastStateSource {
  readonly index: ArchiveIndex
  readonly store: Pick<ContentStore, 'versions' | 'bornMs' | 'find'>
  readonly area: string
}

/** A file or link that stood at a path for a while. */
interface Stay {
  readonly path: RelativePath
  readonly sinceMs: number
  /** Infinity where it still does. */
  readonly untilMs: number
}

/** What the mirror holds now. */
interface Present {
  readonly files: Stay[]
  readonly links: RelativePath[]
  readonly directories: DirectoryState[]
}

/**
 * What stood at a path and below it at a moment, from what the mirror holds and what left it since. Of an archive that was
 * copied, whose files are all as young as the copy, it may tell more than there was, but never less.
 */
export async function stateAt ({ index, store, area }: PastStateSource, path: RelativePath, atMs: number): Promise<PastState> {
  // Of the whole area: where a file came from shows among the versions of another path.
  const all = await store.versions(area, ROOT_PATH)
  const versions = all.filter(version => isAtOrBelow(version.path, path))
  const present = presentBelow(index, area, path)
  const isOfCopy = copiedDuring(await store.bornMs(area), [...all.map(({ untilMs }) => untilMs), ...present.files.map(({ sinceMs }) => sinceMs)])
  const wasThere = async (paths: readonly RelativePath[]): Promise<ReadonlySet<RelativePath>> => await bornBy({ store, area }, paths, bornMs => bornMs <= atMs || isOfCopy(bornMs))

  const links = [...await wasThere(present.links)].map(link => ({ path: link, sinceMs: 0, untilMs: Infinity }))
  const damages = [...damagesBelow(index, area, path)].filter(damage => sinceMs(damage) <= atMs && atMs < (damage.untilMs ?? Infinity))
  const lost = damages.filter(({ entry }) => entry.kind !== 'directory').map(damage => ({ path: damage.path, sinceMs: sinceMs(damage), untilMs: damage.untilMs ?? Infinity }))
  const stays = [...present.files, ...links, ...lost, ...versions.filter(({ kind }) => kind !== 'directory')]
  const { files, filled } = withoutConflicts(chosenAt(stays, atMs, isOfCopy))

  const directories = new Map<RelativePath, DirectoryState>()
  for (const { kind, path: directory, mtimeNs, sinceMs, untilMs } of versions) {
    // A folder that was made to hold versions is younger than that.
    const stood = untilMs > atMs && sinceMs <= atMs
    if (kind === 'directory' && (stood || filled.has(directory))) directories.set(directory, { directory, mtimeNs, mode: 0o755 })
  }
  const oldEmpty = await wasThere(present.directories.map(({ directory }) => directory).filter(directory => !filled.has(directory)))
  for (const state of present.directories) if (filled.has(state.directory) || oldEmpty.has(state.directory)) directories.set(state.directory, state)
  for (const { path: directory, entry } of damages) if (entry.kind === 'directory') directories.set(directory, { directory, mtimeNs: entry.mtimeNs, mode: entry.mode })
  for (const directory of directories.keys()) if (liesInOne(directory, files)) directories.delete(directory)
  return {
    files: new Map([...files].map(([file, { untilMs }]) => [file, untilMs === Infinity ? undefined : untilMs])),
    directories,
    damages: new Map(damages.filter(damage => files.has(damage.path)).map(damage => [damage.path, damage])),
  }
}

/** Since when what was damaged stood at its path; that is not known of directories and links. */
function sinceMs ({ fact }: Damage): number {
  return fact?.storedAtMs ?? 0
}

/** What stood where at the moment: of each path what left it first after that, if it had come by then. */
function chosenAt (stays: readonly Stay[], atMs: number, isOfCopy: (sinceMs: number) => boolean): Stay[] {
  const chosen = new Map<RelativePath, Stay>()
  for (const stay of stays) {
    const other = chosen.get(stay.path)
    if (stay.untilMs > atMs && (other === undefined || stay.untilMs < other.untilMs)) chosen.set(stay.path, stay)
  }
  // Nothing comes after it has left, so such a time tells nothing.
  return [...chosen.values()].filter(({ sinceMs, untilMs }) => sinceMs <= atMs || sinceMs >= untilMs || isOfCopy(sinceMs))
}

/** A file and something below it cannot both have been there: what left first is the older one. Also tells which directories are not empty. */
function withoutConflicts (chosen: readonly Stay[]): { readonly files: ReadonlyMap<RelativePath, Stay>, readonly filled: ReadonlySet<RelativePath> } {
  const files = new Map<RelativePath, Stay>()
  const filled = new Set<RelativePath>()
  for (const stay of [...chosen].sort((a, b) => a.untilMs - b.untilMs)) {
    if (filled.has(stay.path) || liesInOne(stay.path, files)) continue
    files.set(stay.path, stay)
    for (const directory of above(stay.path)) filled.add(directory)
  }
  return { files, filled }
}

function presentBelow (index: ArchiveIndex, area: string, path: RelativePath): Present {
  const present: Present = { files: [], links: [], directories: [] }
  // What it was before it was damaged is told by the damage itself.
  const isDamaged = (at: RelativePath, entry: Entry): boolean => isUnknown(entry) && openDamageAt(index, area, at) !== undefined
  const take = (at: RelativePath, { entry, storedAtMs }: { readonly entry: Entry, readonly storedAtMs: number }): void => {
    if (isDamaged(at, entry)) return
    if (entry.kind === 'file') present.files.push({ path: at, sinceMs: storedAtMs, untilMs: Infinity })
    if (entry.kind === 'symlink') present.links.push(at)
  }
  if (path !== ROOT_PATH) {
    const { directory, name } = splitPath(path)
    for (const known of entriesOf(index, area, directory)) if (known.entry.name === name) take(path, known)
  }
  const below = [path]
  for (let next = below.pop(); next !== undefined; next = below.pop()) {
    for (const known of entriesOf(index, area, next)) {
      const { entry } = known
      const child = joinPath(next, entry.name)
      take(child, known)
      if (entry.kind !== 'directory') continue
      if (!isDamaged(child, entry)) present.directories.push({ directory: child, mtimeNs: entry.mtimeNs, mode: entry.mode })
      below.push(child)
    }
  }
  return present
}

/** The entries of a directory, and of its files when they were stored there. */
function * entriesOf (index: ArchiveIndex, area: string, directory: RelativePath): Generator<{ readonly entry: Entry, readonly storedAtMs: number }, void, undefined> {
  const stored = index.directory({ area, directory })
  if (stored === undefined) return
  let at = 0
  for (const entry of readListing(stored.listing)) {
    yield { entry, storedAtMs: entry.kind === 'file' ? readFact(stored.facts, at).storedAtMs : 0 }
    if (entry.kind === 'file') at += FACT_BYTES
  }
}

/**
 * Whether a time at which something was made is that of a copy of the whole archive. It was copied where its folder is
 * younger than what it holds, and that may have taken a day.
 */
function copiedDuring (bornMs: number, knownMs: readonly number[]): (timeMs: number) => boolean {
  const oldestMs = knownMs.reduce((least, timeMs) => Math.min(least, timeMs), Infinity)
  if (oldestMs > bornMs - GRAIN_MS) return () => false
  return timeMs => timeMs >= bornMs - GRAIN_MS && timeMs <= bornMs + DAY_MS
}

/** Those of the paths in the mirror that were made at a time which is right. */
async function bornBy (
  { store, area }: Omit<PastStateSource, 'index'>, paths: readonly RelativePath[], isRight: (bornMs: number) => boolean,
): Promise<ReadonlySet<RelativePath>> {
  const names = new Map<RelativePath, string[]>()
  for (const path of paths) {
    const { directory, name } = splitPath(path)
    const known = names.get(directory)
    if (known === undefined) names.set(directory, [name])
    else known.push(name)
  }
  const right = new Set<RelativePath>()
  for (const [directory, wanted] of names) {
    for (const found of await store.find(area, directory, wanted)) if (found !== undefined && isRight(found.bornMs)) right.add(joinPath(directory, found.name as Name))
  }
  return right
}

/** Whether a path is one of the files or lies below one. */
function liesInOne (path: RelativePath, files: ReadonlyMap<RelativePath, unknown>): boolean {
  return files.has(path) || above(path).some(directory => files.has(directory))
}

function above (path: RelativePath): RelativePath[] {
  const directories: RelativePath[] = []
  for (let { directory } = splitPath(path); directory !== ROOT_PATH; { directory } = splitPath(directory)) directories.push(directory)
  return directories
}

function isAtOrBelow (path: RelativePath, top: RelativePath): boolean {
  return top === ROOT_PATH || path === top || path.startsWith(`${top}/`)
}
