import { mkdir, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { seededRandom } from '@filesync/protocol/testing'
import { digestOf } from './chaos.ts'
import { CLIENT_PROGRAM, mirrorOf, Stage } from './programs.ts'
import type { RunningServer } from './programs.ts'
import { treeDifferences } from './trees.ts'

export interface ChaosSourceInit {
  readonly seed: number
  /** Pushes during which the source is exchanged, each followed by one during which it is not. */
  readonly rounds: number
  /** Changes while `start` runs. */
  readonly changes: number
  readonly onProgress?: (text: string) => void
}

export interface ChaosSourceReport {
  readonly changes: number
  /** Pushes that said that everything is stored while the source was exchanged, and those that named files. */
  readonly stored: number
  readonly named: number
}

/** So few files that the brake never holds. */
const FILES = 24
const DIRECTORIES = ['daily.0', 'daily.1', 'deep/daily.2']
const SMALL_BYTES = 4096
const LARGE_BYTES = 400_000
/** All files have this time but those that were written over, so that nothing but the file itself tells them apart. */
const SECONDS = 1_600_000_000
const CHANGE_EVERY_MS = 3
/** What may become of a file that was exchanged under way. */
const EXPECTED_PROBLEMS = ['CHANGED_DURING_READ', 'VANISHED', 'UNSETTLED', 'UNREADABLE']
const STORED_SOON_MS = 30_000

/**
 * Exchanges, rotates and rewrites files and directories of equal sizes and times while they are pushed, once and by `start`.
 * After each push every file of the archive is wholly one of the contents that its path had, and after each push of a quiet
 * source that said "stored" the archive is equal to it, byte for byte. Throws an error that names the seed otherwise.
 */
export async function chaosOfSource (init: ChaosSourceInit): Promise<ChaosSourceReport> {
  const stage = await Stage.open()
  try {
    return await new ChaosSource(stage, init).run()
  } catch (error) {
    throw new Error(`chaos of the source with seed ${init.seed}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  } finally {
    await stage.dispose()
  }
}

class ChaosSource {
  readonly #stage: Stage
  readonly #init: ChaosSourceInit
  readonly #source: string
  readonly #random: () => number
  /** For each path the digest of what it holds, and of all contents that it has had. */
  readonly #present = new Map<string, string>()
  readonly #history = new Map<string, Set<string>>()
  #server: RunningServer | undefined
  #written = 0
  #changes = 0
  #stored = 0
  #named = 0

  constructor (stage: Stage, init: ChaosSourceInit) {
    this.#stage = stage
    this.#init = init
    this.#source = stage.path('source')
    this.#random = seededRandom(init.seed)
  }

  async run (): Promise<ChaosSourceReport> {
    for (const directory of DIRECTORIES) await this.#fill(directory)
    this.#server = await this.#stage.startServer('server', ['--interval', '3600'])
    await this.#stage.pair(this.#server, 'client')
    for (let round = 1; round <= this.#init.rounds; round++) {
      await this.#pushUnderChange()
      await this.#pushInQuiet()
      const pushes = `${this.#stored} pushes stored all, ${this.#named} named files`
      this.#init.onProgress?.(`source: ${round} of ${this.#init.rounds} rounds, ${this.#changes} changes; ${pushes}`)
    }
    await this.#startUnderChange()
    return { changes: this.#changes, stored: this.#stored, named: this.#named }
  }

  async #pushUnderChange (): Promise<void> {
    let isOver = false
    const pushing = this.#stage.push('client', this.#source, ['--limit', '8M']).finally(() => { isOver = true })
    while (!isOver) await this.#changeSoon()
    const { code, result, stderr } = await pushing
    if (code === 0) this.#stored++
    else if (code === 5) this.#named++
    else throw new Error(`a push of a source that changed ended with ${code}: ${stderr}`)
    const odd = result.problems.find(problem => !EXPECTED_PROBLEMS.includes(problem.code))
    if (odd !== undefined) throw new Error(`${odd.path}: ${odd.message}`)
    await this.#checkWhole()
  }

  async #pushInQuiet (): Promise<void> {
    const { code, stdout, stderr } = await this.#stage.push('client', this.#source)
    if (code !== 0) throw new Error(`a push of a quiet source ended with ${code}: ${stderr}${stdout}`)
    const differences = await treeDifferences(this.#source, this.#mirror())
    if (differences.length > 0) throw new Error(`everything was said to be stored, and it is not: ${differences.slice(0, 3).join('; ')}`)
  }

  /** What was exchanged in the end is stored soon, long before the server's interval. */
  async #startUnderChange (): Promise<void> {
    if (this.#init.changes === 0) return
    const client = this.#stage.start(CLIENT_PROGRAM, [
      'start',
      this.#source,
      '--limit',
      '8M',
      '--quiet',
      ...this.#stage.clientArgs('client'),
    ])
    client.stdout.resume()
    client.stderr.resume()
    for (let i = 0; i < this.#init.changes; i++) await this.#changeSoon()
    await this.#untilStored()
    await this.#stage.stop(client)
    await this.#pushInQuiet()
  }

  async #untilStored (): Promise<void> {
    const deadlineMs = performance.now() + STORED_SOON_MS
    for (;;) {
      // A directory of the archive may be replaced while it is read.
      const differences = await treeDifferences(this.#source, this.#mirror()).catch((error: unknown) => [String(error)])
      if (differences.length === 0) return
      if (performance.now() > deadlineMs)
        throw new Error(`start did not store ${differences.length} paths: ${differences.slice(0, 3).join('; ')}`)
      await pause(100)
    }
  }

  async #changeSoon (): Promise<void> {
    await pause(CHANGE_EVERY_MS)
    const changes = [
      async () => { await this.#rotate(this.#anyFile()) },
      async () => { await this.#exchange(this.#anyFile(), this.#anyFile()) },
      async () => { await this.#replace(this.#anyFile()) },
      async () => { await this.#rewrite(this.#anyFile()) },
      async () => { await this.#exchange(this.#anyDirectory(), this.#anyDirectory()) },
      async () => { await this.#rotateDirectories() },
    ]
    await changes[Math.floor(this.#random() * changes.length)]?.()
    this.#changes++
  }

  async #fill (directory: string): Promise<void> {
    await mkdir(join(this.#source, directory), { recursive: true })
    for (let i = 0; i < FILES / 2; i++) await this.#write(`${directory}/f${i}`, SECONDS)
  }

  /** The name with .1 appended gets the old content, and other content takes the name. */
  async #rotate (path: string): Promise<void> {
    const older = path.endsWith('.1') ? path : `${path}.1`
    const aside = await this.#makeAside(path)
    if (older !== path) await this.#rename(path, older)
    await rename(aside.file, join(this.#source, path))
    this.#note(path, aside.digest)
  }

  async #replace (path: string): Promise<void> {
    const aside = await this.#makeAside(path)
    await rename(aside.file, join(this.#source, path))
    this.#note(path, aside.digest)
  }

  /** In place, with a new time. */
  async #rewrite (path: string): Promise<void> {
    await this.#write(path, SECONDS + ++this.#written)
  }

  async #exchange (one: string, other: string): Promise<void> {
    if (one === other) return
    await this.#rename(one, 'exchanged')
    await this.#rename(other, one)
    await this.#rename('exchanged', other)
  }

  /** The oldest goes, the others move on, and a new one of equal sizes and times takes the first name. */
  async #rotateDirectories (): Promise<void> {
    const [first = '', ...others] = DIRECTORIES
    await this.#rename(DIRECTORIES.at(-1) ?? '', 'oldest')
    await rm(join(this.#source, 'oldest'), { recursive: true })
    for (const path of this.#below('oldest')) this.#present.delete(path)
    for (let at = others.length - 1; at >= 0; at--) await this.#rename(DIRECTORIES[at] ?? '', others[at] ?? '')
    await this.#fill('fresh')
    await this.#rename('fresh', first)
  }

  async #write (path: string, seconds: number): Promise<void> {
    const content = this.#content(path)
    this.#note(path, digestOf(content))
    await writeFile(join(this.#source, path), content)
    await utimes(join(this.#source, path), seconds, seconds)
  }

  /** A file of the same size and time as any other, outside of the source. */
  async #makeAside (path: string): Promise<{ readonly file: string, readonly digest: string }> {
    const content = this.#content(path)
    const file = this.#stage.path('aside')
    await writeFile(file, content)
    await utimes(file, SECONDS, SECONDS)
    return { file, digest: digestOf(content) }
  }

  /** One number over and over, so that a mix of two shows. */
  #content (path: string): Buffer {
    const isLarge = /\/f0(\.1)?$/u.test(path)
    return Buffer.alloc(isLarge ? LARGE_BYTES : SMALL_BYTES, `${String(this.#written++).padStart(15, '0')}\n`)
  }

  async #rename (from: string, to: string): Promise<void> {
    const moved = [...this.#below(from)].map(path => [path, to + path.slice(from.length), this.#present.get(path) ?? ''] as const)
    for (const [path] of moved) this.#present.delete(path)
    // Before it happens: a push may see it at once.
    for (const [, path, digest] of moved) this.#note(path, digest)
    await mkdir(dirname(join(this.#source, to)), { recursive: true })
    await rename(join(this.#source, from), join(this.#source, to))
  }

  * #below (path: string): Generator<string, void, undefined> {
    for (const known of [...this.#present.keys()]) if (known === path || known.startsWith(`${path}/`)) yield known
  }

  #note (path: string, digest: string): void {
    this.#present.set(path, digest)
    const known = this.#history.get(path) ?? new Set<string>()
    this.#history.set(path, known.add(digest))
  }

  #anyFile (): string {
    const paths = [...this.#present.keys()]
    return paths[Math.floor(this.#random() * paths.length)] ?? ''
  }

  #anyDirectory (): string {
    return DIRECTORIES[Math.floor(this.#random() * DIRECTORIES.length)] ?? ''
  }

  /** Every file of the archive is wholly one of the contents that its path has had. */
  async #checkWhole (): Promise<void> {
    for (const entry of await readdir(this.#mirror(), { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const full = join(entry.parentPath, entry.name)
      const path = full.slice(this.#mirror().length + 1)
      const isOwn = this.#history.get(path)?.has(digestOf(await readFile(full)))
      if (isOwn !== true) throw new Error(`${path} has a content in the archive that it never had`)
    }
  }

  #mirror (): string {
    return mirrorOf(this.#server, 'client', this.#source)
  }
}
