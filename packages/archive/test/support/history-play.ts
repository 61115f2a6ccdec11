import {
  chmodSync, existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, utimesSync, writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ROOT_PATH } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import { hashBytes, systemClock } from '@filesync/protocol/node'
import { seededRandom } from '@filesync/protocol/testing'
import { openArchive } from '../../src/node/index.ts'
import type { Area, Moment } from '../../src/index.ts'
import { describeTree } from './describe-tree.ts'
import type { DescribedEntry } from './describe-tree.ts'
import { push } from './push.ts'
import { SourceTree } from './source-tree.ts'

/** More than the kernel's clock for new files lags. */
const APART_MS = 12
const MODES = [0o644, 0o600, 0o640, 0o755, 0o444] as const
/** None of the client's. */
const MODE_BY_HAND = 0o666
const DIRECTORY_MODES = [0o755, 0o700, 0o750, 0o555, 0o711] as const

/** The mirror at a moment. */
interface Seen {
  readonly at: Moment
  readonly entries: ReadonlyMap<string, DescribedEntry>
  /** Whether a sync was under way: directories get their times at its end. */
  readonly isDuring: boolean
  readonly when: string
}

export interface HistoryReport {
  /** Moments that were restored and compared. */
  readonly states: number
  /** Those of them while a sync was under way. */
  readonly during: number
  /** Points that were restored and compared. */
  readonly points: number
  readonly faults: readonly string[]
}

/**
 * Plays one random history of an archive, and restores every moment of it that was recorded.
 *
 * @param hands whether others change the mirror by hand now and then. If not, the numbers of every point are compared too
 */
export async function playHistory (seed: number, rounds: number, hands: 'hands' | 'none' = 'hands'): Promise<HistoryReport> {
  const home = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'filesync-history-'))
  const archive = await openArchive({
    root: join(home, 'archive'),
    keepMs: 30 * 86_400_000,
    deletions: 'mirror',
    reserveBytes: 0,
    clock: systemClock,
    signal: new AbortController().signal,
  })
  try {
    const play = new HistoryPlay(await archive.area('laptop'), { home, next: seededRandom(seed).below, hands })
    for (let round = 0; round < rounds; round++) await play.round(round)
    return await play.compare()
  } finally {
    await archive.close()
    // Restored directories may be ones that nobody may write to.
    rmSync(home, { recursive: true, force: true })
  }
}

interface HistoryPlayInit {
  readonly home: string
  readonly next: (below: number) => number
  readonly hands: 'hands' | 'none'
}

class HistoryPlay {
  readonly #area: Area
  readonly #home: string
  readonly #mirror: string
  readonly #next: (below: number) => number
  readonly #source = new SourceTree().write('stays', 'always')
  readonly #hands: 'hands' | 'none'
  readonly #seen: Seen[] = []
  /** The files of the mirror after each completed sync, by point, in order. */
  readonly #atPoints = new Map<string, ReadonlyMap<string, string>>()
  readonly #faults: string[] = []
  /** What somebody changed by hand in the mirror, and all contents that the client ever had at each path. */
  readonly #byHand = new Set<string>()
  readonly #pushed = new Map<string, Set<string>>()
  #serial = 0

  constructor (area: Area, { home, next, hands }: HistoryPlayInit) {
    this.#hands = hands
    this.#area = area
    this.#home = home
    this.#mirror = join(realpathSync(home), 'archive/laptop')
    this.#next = next
  }

  async round (round: number): Promise<void> {
    for (let changes = 1 + this.#next(4); changes > 0; changes--) this.#change()
    if (this.#hands === 'hands' && this.#next(3) === 0) this.#changeByHand()
    if (this.#next(4) === 0) await this.#lookAfter()
    this.#see(`before sync ${String(round)}`, false)
    for (const [path, content] of this.#source.files()) {
      this.#pushed.set(path, (this.#pushed.get(path) ?? new Set()).add(Buffer.from(content).toString('base64')))
    }
    const endsEarly = this.#next(6) === 0
    let [staged, stored, endedEarly] = [0, 0, false]
    await push(this.#area, this.#source, {
      packBytes: 1 + this.#next(40),
      end: endsEarly ? 'abandon' : 'finish',
      complete: this.#next(8) !== 0,
      withhold: () => { staged++; return false },
      onSync: sync => {
        sync.onStored = so => { stored = so.files; this.#see(`during sync ${String(round)}, ${String(stored)} files in`, true) }
      },
      before: async () => {
        // A sync with nothing to compare is over at once, and completes.
        endedEarly = endsEarly
        // Whatever of it could be placed is, for some may have been refused.
        for (let left = 400; stored < staged && left > 0; left--) await new Promise(resolve => { setImmediate(resolve) })
        this.#see(`in sync ${String(round)}, before what is gone leaves`, true)
      },
    })
    this.#see(`after sync ${String(round)}`, false)
    await this.#seePoint(round, endedEarly)
  }

  /** After a completed sync there is its point, with what changed since the last one; after any other sync, no new one. */
  async #seePoint (round: number, endedEarly: boolean): Promise<void> {
    const { points: [point] } = await this.#area.points({ limit: 1 })
    const entries = describeTree(this.#mirror)
    const files = new Map([...entries].filter(([, { kind }]) => kind === 'file').map(([path, { content }]) => [path, content]))
    const [lastId, lastFiles = new Map<string, string>()] = [...this.#atPoints].at(-1) ?? []
    if (point === undefined || point.id === lastId) {
      const isDue = this.#hands === 'none' && !endedEarly && tellDifference(lastFiles, files) !== NO_DIFFERENCE
      if (isDue) this.#faults.push(`sync ${String(round)} made no point`)
      return
    }
    if (endedEarly) this.#faults.push(`sync ${String(round)} ended early and made ${point.id}`)
    this.#atPoints.set(point.id, files)
    this.#seen.push({ at: { point: point.id }, entries, isDuring: false, when: `at ${point.id}` })
    if (this.#hands === 'hands') return
    const { added, replaced, removed, bytes } = point
    const [found, due] = [JSON.stringify({ added, replaced, removed, bytes }), tellDifference(lastFiles, files)]
    if (found !== due) this.#faults.push(`${point.id} says ${found} and not ${due}`)
  }

  /** Restores each moment into a directory of its own. */
  async compare (): Promise<HistoryReport> {
    const faults = [...this.#faults, ...await this.#comparePaths()]
    for (const [place, seen] of this.#seen.entries()) {
      const to = join(this.#home, `restored-${String(place)}`)
      const { failures } = await this.#area.restore({ path: ROOT_PATH, at: seen.at, to }).catch((error: unknown) => {
        if (seen.entries.size > 0) throw error
        return { failures: [] }
      })
      const found = this.#faultsOf(seen, existsSync(to) ? describeTree(to) : new Map(), new Set(failures.map(({ path }) => path)))
      faults.push(...found.map(fault => `${seen.when}: ${fault}`))
      rmSync(to, { recursive: true, force: true })
    }
    const during = this.#seen.filter(({ isDuring }) => isDuring).length
    return { states: this.#seen.length, during, points: this.#atPoints.size, faults }
  }

  /** The points of a path are those that changed something below it, with the numbers of that. */
  async #comparePaths (): Promise<string[]> {
    if (this.#hands === 'hands') return []
    const faults: string[] = []
    for (const top of ['a', 'b', 'c', 'a/b']) {
      const found = new Map((await this.#area.points({ path: top as RelativePath })).points.map(point => [point.id, point]))
      let last: ReadonlyMap<string, string> = new Map()
      for (const [id, files] of this.#atPoints) {
        const below = new Map([...files].filter(([path]) => path === top || path.startsWith(`${top}/`)))
        const { added = 0, replaced = 0, removed = 0, bytes = 0 } = found.get(id) ?? {}
        const [told, due] = [JSON.stringify({ added, replaced, removed, bytes }), tellDifference(last, below)]
        if (told !== due) faults.push(`${id} says ${told} of ${top} and not ${due}`)
        last = below
      }
    }
    return faults
  }

  #faultsOf ({ entries, isDuring }: Seen, restored: ReadonlyMap<string, DescribedEntry>, named: ReadonlySet<string>): string[] {
    return [...new Set([...entries.keys(), ...restored.keys()])].flatMap(path => {
      const [was, is] = [entries.get(path), restored.get(path)]
      if (named.has(path) || isSame(was, is, isDuring)) return []
      // The remains of a file that is named.
      if (was === undefined && path.endsWith('.damaged') && named.has(path.slice(0, -'.damaged'.length))) return []
      const isKnown = is === undefined || is.kind === 'directory' || this.#pushed.get(path)?.has(is.content) === true
      if (this.#isByHand(path) && (isKnown || is.content === was?.content)) return []
      // What others put there and changed again was never recorded.
      if (this.#isByHand(path) && was?.kind === 'file' && this.#pushed.get(path)?.has(was.content) !== true) return []
      return [`${path} was ${tell(was)} and is ${tell(is)}`]
    })
  }

  #isByHand (path: string): boolean {
    return [...this.#byHand].some(hand => hand === path || path.startsWith(`${hand}/`) || hand.startsWith(`${path}/`))
  }

  #see (when: string, isDuring: boolean): void {
    const beganMs = Date.now()
    waitUntil(beganMs + APART_MS)
    this.#seen.push({ at: { ms: Date.now() }, entries: describeTree(this.#mirror), isDuring, when })
    waitUntil(Date.now() + APART_MS)
  }

  #path (): string {
    return Array.from({ length: 1 + this.#next(3) }, () => 'abc'[this.#next(3)] ?? 'a').join('/')
  }

  /** Makes a random change, if it is possible. */
  #change (): void {
    const source = this.#source
    const [one, two] = [this.#path(), this.#path()]
    const content = `content ${String(this.#serial++)}`
    try {
      switch (this.#next(13)) {
        case 0: case 1: source.remove(one).write(one, content, MODES[this.#next(MODES.length)]); break
        case 2: source.write(one, content, MODES[this.#next(MODES.length)]); break
        case 3: source.remove(one); break
        case 4: source.remove(one).link(one, two); break
        case 5: source.remove(one).mkdir(one, DIRECTORY_MODES[this.#next(DIRECTORY_MODES.length)]); break
        case 6: {
          const node = source.at(one)
          if (node.kind === 'file') node.mode = MODES[this.#next(MODES.length)] ?? 0o644
          else if (node.kind === 'directory') node.mode = DIRECTORY_MODES[this.#next(DIRECTORY_MODES.length)] ?? 0o755
          break
        }
        case 7: source.at(one).mtimeNs += 1_000_000_000n * BigInt(1 + this.#next(100)); break
        // Another name of the file.
        case 9: case 10: if (source.at(one).kind === 'file') source.name(two, one); break
        // A file with the same file id and content.
        case 8: {
          const node = source.at(one)
          if (node.kind === 'file') Object.assign(source.remove(two).write(two, '').at(two), node)
          break
        }
        default: {
          const node = source.at(one)
          if (!two.startsWith(`${one}/`)) source.remove(two).move(one, two)
          // Often together with its mode, as when something is published.
          if (node.kind === 'file' && this.#next(2) === 0) node.mode = MODES[this.#next(MODES.length)] ?? 0o644
        }
      }
    } catch {
      // A part of the path is a file, or there is nothing.
    }
  }

  /** Makes a random change to the mirror. */
  #changeByHand (): void {
    const one = this.#path()
    const at = join(this.#mirror, one)
    try {
      // Not through a link, into another directory.
      if (realpathSync(dirname(at)) !== dirname(at)) return
      const stat = lstatSync(at, { throwIfNoEntry: false })
      if (stat?.isDirectory() === true || stat?.isSymbolicLink() === true) return
      // What happens to one name of a file happens to all of them, and to its versions.
      for (const name of stat === undefined ? [] : this.#namesOf(stat.ino)) this.#byHand.add(name)
      if (stat === undefined) writeFileSync(at, `by hand ${String(this.#serial++)}`)
      else {
        switch (this.#next(5)) {
          case 0: utimesSync(at, 1_500_000_000, 1_500_000_000 + this.#next(1000)); break
          case 1: chmodSync(at, MODE_BY_HAND); break
          case 2: rmSync(at); break
          case 3:
            writeFileSync(at, Buffer.from(readFileSync(at)).fill(0x21))
            utimesSync(at, stat.mtime, stat.mtime)
            break
          default: writeFileSync(at, `altered by hand ${String(this.#serial++)}`)
        }
      }
      this.#byHand.add(one)
    } catch {
      // Its directory is not there.
    }
  }

  /** The paths of a file in the mirror and of its versions. */
  #namesOf (inode: number): string[] {
    const versions = join(dirname(this.#mirror), '.filesync/versions/laptop')
    const places = [[this.#mirror, 0], ...existsSync(versions) ? [[versions, 1] as const] : []] as const
    return places.flatMap(([place, above]) => readdirSync(place, { recursive: true, encoding: 'utf8' })
      .filter(path => lstatSync(join(place, path)).ino === inode)
      .map(path => path.split('/').slice(above).join('/')))
  }

  async #lookAfter (): Promise<void> {
    switch (this.#next(3)) {
      case 0: await this.#area.verify(); break
      case 1: await this.#area.checkMirror({ directories: 100 }); break
      default: {
        const copies = [...this.#source.files()].map(([path, content]) => (
          { path: path as RelativePath, kind: 'file' as const, digest: hashBytes(content) }
        ))
        await this.#area.checkSafe(copies, { fresh: this.#next(2) === 0 })
      }
    }
  }
}

const NO_DIFFERENCE = JSON.stringify({ added: 0, replaced: 0, removed: 0, bytes: 0 })

/** The numbers that a point has if these are the files before it and after it, with their contents in base64. */
function tellDifference (before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string {
  const fresh = [...after].filter(([path, content]) => before.get(path) !== content)
  const replaced = fresh.filter(([path]) => before.has(path)).length
  const removed = [...before.keys()].filter(path => !after.has(path)).length
  const bytes = fresh.reduce((sum, [, content]) => sum + Buffer.from(content, 'base64').length, 0)
  return JSON.stringify({ added: fresh.length - replaced, replaced, removed, bytes })
}

/** Long enough for whatever comes next to have another time. */
function waitUntil (timeMs: number): void {
  while (Date.now() < timeMs);
}

/** Whether an entry was restored: in the mirror, directories are always writable and files readable for the server. */
function isSame (was: DescribedEntry | undefined, is: DescribedEntry | undefined, isDuring: boolean): boolean {
  if (was === undefined || is === undefined) return was === is
  if (was.kind !== is.kind || was.content !== is.content) return false
  if (was.kind === 'symlink') return true
  // A new directory gets its mode at the end of its sync, and is private until then.
  if (isDuring && is.kind === 'directory' && was.mode === 0o700) return true
  // A mode that was set by hand is not in the history: the client's is restored.
  const isByHand = was.mode === MODE_BY_HAND
  if (!isByHand && (is.mode | (is.kind === 'directory' ? 0o700 : 0o400)) !== was.mode) return false
  return was.when === is.when || (isDuring && is.kind === 'directory')
}

function tell (entry: DescribedEntry | undefined): string {
  if (entry === undefined) return 'nothing'
  return `a ${entry.kind} ${entry.mode.toString(8)} ${entry.when} ${Buffer.from(entry.content, 'base64').toString()}`
}
