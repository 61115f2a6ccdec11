import {
  closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync,
} from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { pathNames } from '@filesync/protocol'
import type { Name, RelativePath } from '@filesync/protocol'
import type { EntryStat } from '../entry-stat.ts'
import type { OpenDirectory } from '../open-directory.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
const STAT = { bigint: true, throwIfNoEntry: false } as const
const EXACT = { bigint: true } as const

interface Level {
  readonly name: Name
  /** -1 where directories are not held by descriptor. */
  readonly descriptor: number
  /** A path that leads to the directory, whatever happens above it. */
  readonly place: string
  readonly dev: bigint
  readonly ino: bigint
}

/**
 * Goes from directory to directory of a tree without ever leaving it, and holds open the ones that it stands in.
 *
 * On Linux each level is opened with O_DIRECTORY | O_NOFOLLOW from the level above through /proc/self/fd, so a directory that
 * is exchanged for a symbolic link leads nowhere. Elsewhere there is no such way; there a level is checked by `lstat` on the way
 * down and again after it was read ({@link isStillThere}).
 */
export class ConfinedDirectories {
  readonly #root: string
  readonly #byDescriptor: boolean
  readonly #levels: Level[] = []

  constructor (root: string, byDescriptor: boolean) {
    this.#root = root
    this.#byDescriptor = byDescriptor
  }

  /** The device of the root. Only after the first {@link enter}. */
  get rootDevice (): bigint {
    return this.#levels[0]?.dev ?? 0n
  }

  /** Opens a directory. Throws what the file system throws: ENOENT, ENOTDIR or ELOOP where there is none. */
  enter (path: RelativePath): OpenDirectory {
    const names = pathNames(path)
    let depth = 0
    while (depth < names.length && this.#levels[depth + 1]?.name === names[depth]) depth++
    this.#leave(depth + 1)
    if (this.#levels.length === 0) this.#open('' as Name, this.#root)
    for (const name of names.slice(depth)) this.#open(name, `${this.#levels.at(-1)?.place ?? ''}/${name}`)
    return new HeldDirectory(path, this.#levels)
  }

  /** Whether the directory that was entered last is still the one at its path. True where it is held by descriptor. */
  isStillThere (): boolean {
    if (this.#byDescriptor) return true
    return this.#levels.every(level => {
      const stat = lstatSync(level.place, STAT)
      return stat?.isDirectory() === true && stat.dev === level.dev && stat.ino === level.ino
    })
  }

  /** Lets go of every directory. */
  close (): void {
    this.#leave(0)
  }

  #open (name: Name, place: string): void {
    if (!this.#byDescriptor) {
      const stat = lstatSync(place, EXACT)
      if (!stat.isDirectory()) throw systemFault('ENOTDIR', 'not a directory')
      this.#levels.push({ name, descriptor: -1, place, dev: stat.dev, ino: stat.ino })
      return
    }
    const descriptor = openSync(place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    const { dev, ino } = fstatSync(descriptor, EXACT)
    this.#levels.push({ name, descriptor, place: `/proc/self/fd/${descriptor}`, dev, ino })
  }

  #leave (depth: number): void {
    while (this.#levels.length > depth) {
      const level = this.#levels.pop()
      if (level !== undefined && level.descriptor >= 0) closeSync(level.descriptor)
    }
  }
}

class HeldDirectory implements OpenDirectory {
  readonly path: RelativePath
  readonly #levels: readonly Level[]
  readonly #place: string

  constructor (path: RelativePath, levels: readonly Level[]) {
    this.path = path
    this.#levels = levels
    this.#place = levels.at(-1)?.place ?? ''
  }

  names (): string[] {
    return readdirSync(this.#place)
  }

  rawNames (): Uint8Array[] {
    return readdirSync(this.#place, { encoding: 'buffer' })
  }

  stat (name: string): BigIntStats | undefined {
    return lstatSync(`${this.#place}/${name}`, STAT)
  }

  linkTarget (name: string): Uint8Array | undefined {
    try {
      return readlinkSync(`${this.#place}/${name}`, { encoding: 'buffer' })
    } catch (error) {
      if (isGone(error) || codeOf(error) === 'EINVAL') return undefined
      throw error
    }
  }

  text (name: string, maxBytes: number): string | undefined {
    let descriptor: number
    try {
      // Without O_NONBLOCK, a pipe of that name would wait for a writer.
      descriptor = openSync(`${this.#place}/${name}`, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    } catch (error) {
      if (isGone(error)) return undefined
      throw error
    }
    try {
      if (!fstatSync(descriptor).isFile()) return undefined
      return readText(descriptor, maxBytes)
    } finally {
      closeSync(descriptor)
    }
  }

  isAncestor (stat: EntryStat): boolean {
    return this.#levels.some(level => level.ino === stat.ino && level.dev === stat.dev)
  }
}

function readText (descriptor: number, maxBytes: number): string {
  const bytes = new Uint8Array(maxBytes + 1)
  let length = 0
  for (let got = -1; got !== 0 && length <= maxBytes; length += got) got = readSync(descriptor, bytes, length, bytes.length - length, null)
  if (length > maxBytes) throw systemFault('EFBIG', `its ignore file is larger than ${maxBytes} bytes`)
  return new TextDecoder().decode(bytes.subarray(0, length))
}

/** Whether an error says that there is nothing, or nothing of that kind, at a path. */
export function isGone (error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP'
}

function systemFault (code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}

function codeOf (error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
