import type { PastTree } from '@filesync/archive'
import {
  BufferPool, DIGEST_BYTES, DIGEST_RECORD_BYTES, equalDigests, FRAME_HEADER_BYTES, joinPath, PACK_RECORD_BYTES, writeDigestRecord,
  writeFrameHeader, writePackRecord,
} from '@filesync/protocol'
import type { Digest, HashBytes, Hasher } from '@filesync/protocol'
import type { FileFault, FileSource, PackRead, SourceStream, StreamRequest, WantedFile } from '@filesync/transfer'
import { readFully } from './read-fully.ts'
import { PastStream } from './past-stream.ts'

export interface PastSourceInit {
  readonly tree: PastTree
  readonly hash: HashBytes
  readonly createHasher: () => Hasher
}

const EXPIRED: FileFault = { code: 'EXPIRED' }
const DAMAGED: FileFault = { code: 'DAMAGED' }

/** Files of one pack that are opened and read at the same time. */
const READS_AT_ONCE = 8
/** Copies of one content that are tried before a file counts as damaged. */
const COPIES = 3
const FREE_BUFFERS = 8

/**
 * Reads the files of a past state for sending. Nothing is sent whose content does not have the digest that was proved when it was
 * stored: a copy that does not is reported to the archive, and another one is tried.
 */
export class PastSource implements FileSource {
  readonly parallelism: number = READS_AT_ONCE
  readonly #init: PastSourceInit
  readonly #buffers = new BufferPool(FREE_BUFFERS)
  readonly #streams = new Set<PastStream>()
  #files = 0
  #bytes = 0
  #damaged = 0
  #namedBytes = 0

  constructor (init: PastSourceInit) {
    this.#init = init
  }

  /** What was read to its end for sending, and how many copies were found damaged. */
  get sent (): { readonly files: number, readonly bytes: number, readonly damaged: number } {
    return { files: this.#files, bytes: this.#bytes, damaged: this.#damaged }
  }

  /** Sizes of the files whose digests were asked for: the client hashes as much. */
  get namedBytes (): number {
    return this.#namedBytes
  }

  prepare (): void { /* nothing to start */ }

  refresh (): void { /* nothing is held open */ }

  async readPack (files: readonly WantedFile[]): Promise<PackRead> {
    // One call of the store for all of them; only those whose own copies are not whole are read one by one.
    const small = await this.#init.tree.readSmall?.(files.map(file => ({ path: pathOf(file), sizeBytes: file.entry.sizeBytes })))
    const known = new Map<WantedFile, ReadFile>()
    for (const [i, file] of files.entries()) {
      const [content, digest] = [small?.[i], this.#init.tree.digest(pathOf(file))]
      if (content !== undefined && digest !== undefined) known.set(file, { content, digest, fault: undefined })
    }
    const read = await atOnce(files, async file => ({ file, ...known.get(file) ?? await this.#readWhole(file) }))
    const faults = read.flatMap(({ file: { task }, fault }) => fault === undefined ? [] : [{ ...fault, task }])
    const whole = read.flatMap(({ file: { task }, content, digest }) => content === undefined ? [] : [{ task, content, digest }])
    const bytes = whole.reduce((sum, { content }) => sum + content.length, 0)
    if (whole.length === 0) return { frame: undefined, files: 0, bytes: 0, faults }
    const frame = this.#buffers.acquire(FRAME_HEADER_BYTES + bytes + whole.length * PACK_RECORD_BYTES)
    let at = FRAME_HEADER_BYTES
    for (const { task, content, digest } of whole) {
      writePackRecord(frame, at, { task, sizeBytes: content.length, digest })
      frame.set(content, at + PACK_RECORD_BYTES)
      at += PACK_RECORD_BYTES + content.length
    }
    writeFrameHeader(frame, { type: 'PACK', flags: 0, payloadBytes: frame.length - FRAME_HEADER_BYTES })
    this.#count(whole.length, bytes)
    return { frame, files: whole.length, bytes, faults }
  }

  async readDigests (files: readonly WantedFile[]): Promise<PackRead> {
    const read = await atOnce(files, async file => {
      this.#namedBytes += file.entry.sizeBytes
      const digest = this.#init.tree.digest(pathOf(file))
      return { file, ...(digest === undefined ? await this.#readWhole(file) : { digest, fault: undefined }) }
    })
    const faults = read.flatMap(({ file: { task }, fault }) => fault === undefined ? [] : [{ ...fault, task }])
    const known = read.flatMap(({ file: { task }, fault, digest }) => fault === undefined ? [{ task, digest }] : [])
    if (known.length === 0) return { frame: undefined, files: 0, bytes: 0, faults }
    const frame = this.#buffers.acquire(FRAME_HEADER_BYTES + known.length * DIGEST_RECORD_BYTES)
    known.forEach((record, i) => { writeDigestRecord(frame, FRAME_HEADER_BYTES + i * DIGEST_RECORD_BYTES, record) })
    writeFrameHeader(frame, { type: 'DIGESTS', flags: 0, payloadBytes: frame.length - FRAME_HEADER_BYTES })
    return { frame, files: known.length, bytes: 0, faults }
  }

  openStream (request: StreamRequest): SourceStream {
    if (request.content === 'NONE') this.#namedBytes += request.file.entry.sizeBytes
    const { tree, createHasher } = this.#init
    const stream = new PastStream(request, {
      tree, createHasher, path: pathOf(request.file),
      allocate: sizeBytes => this.#buffers.acquire(sizeBytes),
      onWhole: bytes => { this.#count(1, bytes) },
      onDamaged: () => { this.#damaged++ },
      onClosed: () => { this.#streams.delete(stream) },
    })
    this.#streams.add(stream)
    return stream
  }

  reuse (buffer: ArrayBuffer): void {
    this.#buffers.release(buffer)
  }

  async close (): Promise<void> {
    await Promise.all([...this.#streams].map(async stream => { await stream.end() }))
  }

  #count (files: number, bytes: number): void {
    this.#files += files
    this.#bytes += bytes
  }

  async #readWhole (file: WantedFile): Promise<ReadFile> {
    const { tree, hash } = this.#init
    const path = pathOf(file)
    const stored = tree.digest(path)
    for (let copy = 0; copy < COPIES; copy++) {
      const handle = await tree.open(path)
      if (handle === undefined) return { fault: copy === 0 ? EXPIRED : DAMAGED, digest: NO_DIGEST }
      try {
        const content = await readFully(handle.fd, file.entry.sizeBytes)
        const digest = content && hash(content)
        if (content !== undefined && digest !== undefined && (stored === undefined || equalDigests(digest, stored))) {
          return { content, digest, fault: undefined }
        }
      } finally {
        await handle.close()
      }
      this.#damaged++
      tree.reject(path)
    }
    return { fault: DAMAGED, digest: NO_DIGEST }
  }
}

type ReadFile =
  | { readonly content: Uint8Array, readonly digest: Digest, readonly fault: undefined }
  | { readonly content?: undefined, readonly digest: Digest, readonly fault: FileFault }

const NO_DIGEST = new Uint8Array(DIGEST_BYTES) as Digest

function pathOf ({ directory, entry }: WantedFile): ReturnType<typeof joinPath> {
  return joinPath(directory, entry.name)
}

/** As `Promise.all` over the files, with only some under way at a time. */
async function atOnce<T> (files: readonly WantedFile[], work: (file: WantedFile) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  const entries = files.entries()
  await Promise.all(Array.from({ length: READS_AT_ONCE }, async () => {
    for (const [i, file] of entries) results[i] = await work(file)
  }))
  return results
}
