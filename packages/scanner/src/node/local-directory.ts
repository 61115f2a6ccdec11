import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import { clampTimeNs, errnoOf, writeFileId } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { NodeId } from '../directory-node.ts'
import type { FoundMount } from '../directory-reading.ts'
import { entryType } from '../entry-stat.ts'
import type { EntryStat } from '../entry-stat.ts'
import type { OpenDirectory } from '../open-directory.ts'
import { isGone, systemFault } from '../system-fault.ts'
import { areExact } from './exact-names.ts'
import type { InodeNumbering } from './inode-numbering.ts'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
const STAT = { bigint: true, throwIfNoEntry: false } as const
const IS_WINDOWS = process.platform === 'win32'
const PERMISSIONS = 0o777
const OWNER_WRITES = 0o200

export interface LocalDirectoryInit {
  /** A path that leads to the directory. */
  readonly location: string
  readonly stat: BigIntStats
  /** Whether the directory is on another device than the one above. */
  readonly entersDevice: boolean
  /** Filled by each `stat`. */
  readonly record: EntryStat
  readonly isAncestor: (stat: EntryStat) => boolean
  readonly numbering: InodeNumbering
}

/** A directory on a local disk, read with synchronous calls. */
export class LocalDirectory implements OpenDirectory {
  readonly path: RelativePath
  readonly entersDevice: boolean
  readonly isAncestor: (stat: EntryStat) => boolean
  readonly #location: string
  readonly #stat: BigIntStats
  readonly #prefix: string
  readonly #record: EntryStat
  readonly #numbering: InodeNumbering
  #links = 1n

  constructor (path: RelativePath, { location, stat, entersDevice, record, isAncestor, numbering }: LocalDirectoryInit) {
    this.path = path
    this.entersDevice = entersDevice
    this.isAncestor = isAncestor
    this.#location = location
    this.#stat = stat
    this.#prefix = `${location}/`
    this.#record = record
    this.#numbering = numbering
  }

  describeMount (): FoundMount {
    const { dev, ino, birthtimeNs } = this.#stat
    return {
      mark: { device: String(dev), inode: String(ino), birthtimeNs: String(birthtimeNs) },
      entersDevice: this.entersDevice,
      hasStableInodes: this.#numbering.isStable(dev, () => `${this.#prefix}.`),
    }
  }

  names (): string[] {
    return readdirSync(this.#location)
  }

  rawNames (): Uint8Array[] {
    return readdirSync(this.#location, { encoding: 'buffer' })
  }

  stat (name: string): EntryStat | undefined {
    const stat = lstatSync(this.#prefix + name, STAT)
    if (stat === undefined) return undefined
    fillRecord(this.#record, stat)
    this.#links = stat.nlink
    return this.#record
  }

  links (): number {
    return Number(this.#links)
  }

  id (): NodeId {
    const record = this.#record
    fillRecord(record, this.#stat)
    writeFileId(record.fileIdInput, record.fileIdHalves)
    return record.nodeId
  }

  hasExactNames (names: readonly string[]): boolean {
    return this.#numbering.hasExactNames(this.#stat.dev, `${this.#prefix}.`) && areExact(names, name => this.#identify(name))
  }

  #identify (name: string): string | undefined {
    const stat = lstatSync(this.#prefix + name, STAT)
    return stat === undefined ? undefined : `${stat.dev} ${stat.ino}`
  }

  hasStableInode (name: string, { dev }: EntryStat): boolean {
    // The file may be gone by now; the directory still exists.
    return this.#numbering.isStable(dev, () => dev === this.#stat.dev ? `${this.#prefix}.` : this.#prefix + name)
  }

  linkTarget (name: string): Uint8Array | undefined {
    try {
      return readlinkSync(this.#prefix + name, { encoding: 'buffer' })
    } catch (error) {
      if (isGone(error) || errnoOf(error) === 'EINVAL') return undefined
      throw error
    }
  }

  text (name: string, maxBytes: number): string | undefined {
    let descriptor: number
    try {
      // Without O_NONBLOCK, a pipe of that name would wait for a writer.
      descriptor = openSync(this.#prefix + name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    } catch (error) {
      // ENXIO: a socket.
      if (isGone(error) || errnoOf(error) === 'ENXIO') return undefined
      throw error
    }
    try {
      if (!fstatSync(descriptor).isFile()) return undefined
      return readText(descriptor, maxBytes)
    } finally {
      closeSync(descriptor)
    }
  }
}

/**
 * The mode of a file on Windows: 0644, or 0444 if it is read-only, and 0755 for a directory. Windows has no permission bits,
 * and the mode that libuv reports (0666) would let every user of the server write to the copy.
 */
export function modeFromWindows (mode: number): number {
  const permissions = entryType(mode) === 'directory' ? 0o755 : (mode & OWNER_WRITES) === 0 ? 0o444 : 0o644
  return (mode & ~PERMISSIONS) | permissions
}

/** Copies the stat of Node into a record. */
export function fillRecord (record: EntryStat, stat: BigIntStats): void {
  record.mode = IS_WINDOWS ? modeFromWindows(Number(stat.mode)) : Number(stat.mode)
  record.sizeBytes = Number(stat.size)
  record.mtimeMs = Number(stat.mtimeNs) / 1e6
  record.ctimeMs = Number(stat.ctimeNs) / 1e6
  record.ids[0] = stat.dev
  record.ids[1] = stat.ino
  record.ids[2] = stat.birthtimeNs
  record.numbers[0] = clampTimeNs(stat.mtimeNs)
}

function readText (descriptor: number, maxBytes: number): string {
  const bytes = new Uint8Array(maxBytes + 1)
  let length = 0
  for (let got = -1; got !== 0 && length <= maxBytes; length += got) got = readSync(descriptor, bytes, length, bytes.length - length, null)
  if (length > maxBytes) throw systemFault('EFBIG', `its ignore file is larger than ${maxBytes} bytes`)
  return new TextDecoder().decode(bytes.subarray(0, length))
}
