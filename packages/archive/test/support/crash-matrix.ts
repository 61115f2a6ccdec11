import { spawn, spawnSync } from 'node:child_process'
import { enableCompileCache } from 'node:module'
import { existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ROOT_PATH } from '@filesync/protocol'
import { systemClock } from '@filesync/protocol/node'
import { ManualClock } from '@filesync/protocol/testing'
import type { Archive, Area, Point } from '../../src/index.ts'
import { openArchive } from '../../src/node/index.ts'
import { crashStates } from './crash-states.ts'
import { describeFolder, describeSource, versionsIn } from './describe-disk.ts'
import type { WriteMoment } from './kill-at-write.ts'
import { push } from './push.ts'
import type { SourceTree } from './source-tree.ts'

const child = fileURLToPath(new URL('./crash-child.ts', import.meta.url))
const preload = fileURLToPath(new URL('./kill-at.mjs', import.meta.url))
const HOUR_MS = 3_600_000
/** What the point of the second state says: how its files differ from those of the first. */
const DIFFERENCE = differenceOf(...crashStates())
const YEAR_MS = 365 * 86_400_000

/**
 * When a process is killed: before the n-th change of one of its two disk workers, at the n-th write of the index, or some time
 * after it opened the archive, as a fraction of the time that it takes undisturbed.
 */
export type Blow =
  | { readonly work: 'sync' | 'prune', readonly thread: number, readonly at: number, readonly failWith?: string }
  | { readonly work: 'sync' | 'prune', readonly write: number, readonly moment: WriteMoment }
  | { readonly work: 'sync' | 'prune', readonly after: number }

export interface Aftermath {
  /** What is wrong afterwards. */
  readonly faults: readonly string[]
  /** Whether the process finished before. */
  readonly finished: boolean
  /** Where it was killed, if at a place that was chosen. */
  readonly step: string | undefined
}

/** Archives for processes that are killed; `dispose` removes them. */
export class CrashGround {
  readonly #folders: string[] = []
  #forSync = ''
  #forPrune = ''
  #workMs = 0

  /** Makes an archive that holds the first state, and one with versions that are past keeping. */
  static async open (): Promise<CrashGround> {
    const ground = new CrashGround()
    // Most of the time of a blow goes into starting processes and threads; they inherit where compiled code is kept.
    const isKept = process.env['NODE_COMPILE_CACHE'] !== undefined
    process.env['NODE_COMPILE_CACHE'] ??= ground.#newFolder()
    enableCompileCache()
    ground.#forSync = await ground.#prepare(false)
    ground.#forPrune = await ground.#prepare(true)
    // Undisturbed, because a killed process stores no compiled code, and to measure how long the work takes.
    if (!isKept) await ground.strike({ work: 'sync', after: Infinity })
    await ground.strike({ work: 'sync', after: Infinity })
    return ground
  }

  dispose (): void {
    for (const folder of this.#folders.splice(0)) rmSync(folder, { recursive: true, force: true })
  }

  /** Kills a process that works on a copy, lets another process continue, and reports what is wrong. */
  async strike (blow: Blow): Promise<Aftermath> {
    const root = this.#newFolder()
    try {
      // With times to the nanosecond, which cpSync does not keep.
      spawnSync('cp', ['-a', `${blow.work === 'sync' ? this.#forSync : this.#forPrune}/.`, root])
      const { told, workMs } = await run(root, blow, this.#workMs)
      if ('after' in blow && blow.after === Infinity) this.#workMs = workMs
      const finished = told.includes('finished')
      const faults = blow.work === 'sync' ? await faultsAfterSync(root, told) : await faultsAfterPrune(root)
      return { faults: [...faults, ...wrongCode(told, blow)], finished, step: /killed in (.+)/u.exec(told)?.[1] }
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  }

  async #prepare (withVersions: boolean): Promise<string> {
    const root = this.#newFolder()
    const clock = yearAgo()
    const archive = await openAt(root, clock)
    const area = await archive.area('laptop')
    await push(area, crashStates()[0])
    if (withVersions) {
      await push(area, crashStates()[1])
      // Versions expire by the time that the server ran, not by the year that the clock will jump. This prune records it.
      clock.advance(HOUR_MS)
      await area.prune()
    }
    await archive.close()
    return root
  }

  #newFolder (): string {
    // On a memory file system where there is one: this is about order, not about disks.
    const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'filesync-crash-'))
    this.#folders.push(folder)
    return folder
  }
}

function yearAgo (): ManualClock {
  const clock = new ManualClock(Date.now() - YEAR_MS)
  clock.schedule = (delayMs, callback) => systemClock.schedule(delayMs, callback)
  return clock
}

async function openAt (root: string, clock: ManualClock = yearAgo()): Promise<Archive> {
  return await openArchive({ root, keepMs: 1e12, deletions: 'mirror', reserveBytes: 0, clock, signal: new AbortController().signal })
}

/** Resolves with the output of the process, and how long it worked. `workMs` is how long it works undisturbed. */
async function run (root: string, blow: Blow, workMs: number): Promise<{ readonly told: string, readonly workMs: number }> {
  const env = {
    ...process.env,
    ...('at' in blow && { FILESYNC_TEST_KILL_AT: `${String(blow.thread)}:${String(blow.at)}` }),
    ...('at' in blow && blow.failWith !== undefined && { FILESYNC_TEST_FAIL_WITH: blow.failWith }),
  }
  const args = 'write' in blow ? [String(blow.write), blow.moment] : []
  const running = spawn(process.execPath, [
    '--conditions=@filesync/source', '--import', preload, child, root, blow.work, ...args,
  ], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [told, complained, openedMs] = ['', '', 0]
  let timer: NodeJS.Timeout | undefined
  running.stdout.setEncoding('utf8').on('data', (text: string) => {
    told += text
    if (openedMs > 0 || !told.includes('opened')) return
    openedMs = performance.now()
    if ('after' in blow && blow.after !== Infinity) timer = setTimeout(() => { running.kill('SIGKILL') }, blow.after * workMs)
  })
  running.stderr.setEncoding('utf8').on('data', (text: string) => { complained += text })
  const signal = await new Promise<string | null>(resolve => { running.once('close', (_, signal) => { resolve(signal) }) })
  clearTimeout(timer)
  if (!told.includes('finished') && !told.includes('failed') && signal !== 'SIGKILL') {
    throw new Error(`The process ended by itself: ${complained}`)
  }
  return { told, workMs: performance.now() - openedMs }
}

// A system error ends a sync with an archive error code, or is a problem of one file.
function wrongCode (told: string, blow: Blow): string[] {
  const code = /failed (\S+)/u.exec(told)?.[1]
  if (code === undefined) return []
  const wanted = 'failWith' in blow && (blow.failWith === 'EDQUOT' || blow.failWith === 'ENOSPC') ? 'ARCHIVE_FULL' : 'ARCHIVE_UNAVAILABLE'
  return code === wanted ? [] : [`it ended with ${told.slice(told.indexOf('failed'))} where ${wanted} is due`]
}

async function faultsAfterSync (root: string, told: string): Promise<string[]> {
  const stored = Math.max(0, ...[...told.matchAll(/stored (\d+)/gu)].map(match => Number(match[1])))
  const [before, after] = crashStates()
  const states = [before.files(), after.files()]
  const faults: string[] = mixed(root, states)
  const archive = await openAt(root)
  try {
    const area = await archive.area('laptop')
    // Whatever is the first to use the area completes what was interrupted.
    await area.beginPlanRun()
    faults.push(...mixed(root, states))
    const pointsBefore = (await area.points()).points
    if (told.includes('finished') && pointsBefore.length !== 2) faults.push('a sync was finished and left no point')
    // If a file was a problem, the state that the sync completed is neither of the two.
    const due = /finished \d+, [1-9]/u.test(told) ? [before, undefined, after] : [before, after]
    faults.push(...await faultsOfPoints(area, root, due.slice(0, pointsBefore.length)))
    const fresh = [...after.files()].filter(([path, content]) => !same(before.files().get(path), content))
    const kept = fresh.filter(([path, content]) => same(read(root, path), content)).length
    if (kept < stored) faults.push(`${String(stored)} files were told to be durable, ${String(kept)} are there`)
    const second = await push(area, after)
    if (second.problems.length > 0) faults.push(`problems: ${JSON.stringify(second.problems)}`)
    if (second.asked.length > fresh.length - stored) {
      faults.push(`${String(second.asked.length)} files were sent again although ${String(stored)} were stored`)
    }
    faults.push(...difference(describeFolder(join(root, 'laptop')), describeSource(after)))
    const lost = [
      'gone/a', 'gone/deep/b', 'kind', 'replaced', 'docs/file0', 'docs/file5', 'large',
    ].filter(path => !versionsIn(root, 'laptop').includes(path))
    if (lost.length > 0) faults.push(`no version of ${lost.join(', ')}`)
    const { points } = await area.points()
    if (points.length !== due.length) faults.push(`there are ${String(points.length)} points, not ${String(due.length)}`)
    if (due.length === 2) faults.push(...wrongNumbers(points[0]))
    faults.push(...await faultsOfPoints(area, root, due))
    if ((await push(area, after)).listings !== 0) faults.push('the index does not have the digest of the client')
    if ((await area.verify()).problems.length > 0) faults.push('verify finds damage')
    const { changed, removed, added } = await area.checkMirror({ directories: 100 })
    if (changed.length + removed.length + added.length > 0) faults.push('the index is not what the mirror is')
    const left = ['.filesync/staging', '.filesync/partial/laptop'].flatMap(folder => readdirSync(join(root, folder)))
    if (left.length > 0) faults.push('something is left in staging')
  } finally {
    await archive.close()
  }
  return faults
}

/** What differs if every point is restored whose state is due, oldest first. */
async function faultsOfPoints (area: Area, root: string, due: readonly (SourceTree | undefined)[]): Promise<string[]> {
  const { points } = await area.points()
  const faults: string[] = []
  for (const [i, { id }] of [...points].reverse().entries()) {
    if (i >= due.length) return [`there is a point ${id} that no sync made`]
    const state = due[i]
    if (state === undefined) continue
    const to = `${root}-restored`
    const { failures } = await area.restore({ path: ROOT_PATH, at: { point: id }, to })
    faults.push(...failures.map(({ path, message }) => `${id}: ${path}: ${message}`))
    faults.push(...difference(describeFolder(to), describeSource(state)).map(line => `${id}: ${line}`))
    rmSync(to, { recursive: true, force: true })
  }
  return faults
}

async function faultsAfterPrune (root: string): Promise<string[]> {
  const after = crashStates()[1]
  const faults = difference(describeFolder(join(root, 'laptop')), describeSource(after))
  const archive = await openArchive({
    root,
    keepMs: 1,
    deletions: 'mirror',
    reserveBytes: 0,
    clock: systemClock,
    signal: new AbortController().signal,
  })
  try {
    const area = await archive.area('laptop')
    await area.prune()
    const folders = describeFolder(join(root, '.filesync/versions/laptop'))
    if ((await area.versions(ROOT_PATH)).length > 0 || folders.length > 0) faults.push('expired versions are left')
    if ((await push(area, after)).listings !== 0 || (await area.verify()).problems.length > 0) {
      faults.push('the mirror or the index suffered')
    }
  } finally {
    await archive.close()
  }
  return faults
}

/** Every file has to be wholly one of the contents its path had. */
function mixed (root: string, states: readonly ReadonlyMap<string, Uint8Array>[]): string[] {
  return describeFolder(join(root, 'laptop')).filter(line => !line.includes(' -> ') && !/\/ \d+ \d+$/u.test(line)).flatMap(line => {
    const path = line.split(' ')[0] ?? ''
    const content = read(root, path)
    return states.some(state => same(state.get(path), content)) ? [] : [`${path} is neither old nor new`]
  })
}

function wrongNumbers ({ added, replaced, removed, bytes }: Partial<Point> = {}): string[] {
  const [told, due] = [JSON.stringify({ added, replaced, removed, bytes }), JSON.stringify(DIFFERENCE)]
  return told === due ? [] : [`the point says ${told} and not ${due}`]
}

function differenceOf (before: SourceTree, after: SourceTree): Pick<Point, 'added' | 'replaced' | 'removed' | 'bytes'> {
  const [old, now] = [before.files(), after.files()]
  const fresh = [...now].filter(([path, content]) => !same(old.get(path), content))
  const replaced = fresh.filter(([path]) => old.has(path)).length
  return {
    added: fresh.length - replaced,
    replaced,
    removed: [...old.keys()].filter(path => !now.has(path)).length,
    bytes: fresh.reduce((sum, [, content]) => sum + content.length, 0),
  }
}

function read (root: string, path: string): Uint8Array | undefined {
  const full = join(root, 'laptop', path)
  try {
    return lstatSync(full).isFile() ? readFileSync(full) : undefined
  } catch {
    return undefined
  }
}

function same (left: Uint8Array | undefined, right: Uint8Array | undefined): boolean {
  return left !== undefined && right !== undefined && Buffer.compare(left, right) === 0
}

function difference (found: readonly string[], wanted: readonly string[]): string[] {
  const unwanted = found.filter(line => !wanted.includes(line)).map(line => `unwanted: ${line.slice(0, 60)}`)
  const missing = wanted.filter(line => !found.includes(line)).map(line => `missing: ${line.slice(0, 60)}`)
  return [...unwanted, ...missing]
}
