import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import type { BigIntStats } from 'node:fs'
import type { RelativePath } from '@filesync/protocol'
import type { EntryStat } from '../entry-stat.ts'
import type { OpenDirectory } from '../open-directory.ts'
import { faultCode, isGone, systemFault } from './system-fault.ts'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
const STAT = { bigint: true, throwIfNoEntry: false } as const

/** A directory of this machine, read with synchronous calls. */
export class LocalDirectory implements OpenDirectory {
  readonly path: RelativePath
  readonly isAncestor: (stat: EntryStat) => boolean
  readonly #place: string
  readonly #prefix: string

  /** @param place a path that leads to it */
  constructor (path: RelativePath, place: string, isAncestor: (stat: EntryStat) => boolean) {
    this.path = path
    this.isAncestor = isAncestor
    this.#place = place
    this.#prefix = `${place}/`
  }

  names (): string[] {
    return readdirSync(this.#place)
  }

  rawNames (): Uint8Array[] {
    return readdirSync(this.#place, { encoding: 'buffer' })
  }

  stat (name: string): BigIntStats | undefined {
    return lstatSync(this.#prefix + name, STAT)
  }

  linkTarget (name: string): Uint8Array | undefined {
    try {
      return readlinkSync(this.#prefix + name, { encoding: 'buffer' })
    } catch (error) {
      if (isGone(error) || faultCode(error) === 'EINVAL') return undefined
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
      if (isGone(error) || faultCode(error) === 'ENXIO') return undefined
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

function readText (descriptor: number, maxBytes: number): string {
  const bytes = new Uint8Array(maxBytes + 1)
  let length = 0
  for (let got = -1; got !== 0 && length <= maxBytes; length += got) got = readSync(descriptor, bytes, length, bytes.length - length, null)
  if (length > maxBytes) throw systemFault('EFBIG', `its ignore file is larger than ${maxBytes} bytes`)
  return new TextDecoder().decode(bytes.subarray(0, length))
}
