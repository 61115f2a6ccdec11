import { FileSyncError, joinPath } from '@filesync/protocol'
import type { Hasher, HashBytes, RelativePath } from '@filesync/protocol'
import type { Compress } from '../compressed-frame.ts'
import { FileReading } from '../file-reading.ts'
import type { FileFault, FileSource, PackRead, SourceStream, StreamRequest, StreamStep, WantedFile } from '../file-source.ts'
import { plainCutFinder } from '../gear.ts'
import { buildDigests, buildPack, CHANGED } from '../source-reader.ts'
import type { OpenFile, SourceReader } from '../source-reader.ts'

/** What a memory source or staging area needs from `@filesync/protocol/node`. */
export interface Hashing {
  readonly hashBytes: HashBytes
  createHasher (): Hasher
}

export interface MemorySourceInit extends Hashing {
  /** The content of a file, or why it cannot be read; undefined if it vanished. */
  readonly content: (path: RelativePath) => Uint8Array | FileFault | undefined
  /** Called after a file was read. */
  readonly check?: (path: RelativePath) => FileFault | undefined
  readonly compress?: Compress
}

/** A source over bytes in memory, which packs, streams and compares like the real one. */
export class MemorySource implements FileSource {
  readonly parallelism = 2
  readonly #reader: SourceReader
  #isClosed = false
  #open = 0

  constructor (init: MemorySourceInit) {
    this.#reader = {
      open: file => this.#openFile(file, init),
      allocate: sizeBytes => new Uint8Array(sizeBytes),
      hash: init.hashBytes,
      createHasher: () => init.createHasher(),
      createCutFinder: plainCutFinder,
      ...(init.compress === undefined ? {} : { compress: init.compress }),
    }
  }

  /** Number of open files. */
  get openFiles (): number {
    return this.#open
  }

  prepare (): void { /* nothing to start */ }

  refresh (): void { /* nothing is held open */ }

  async readPack (files: readonly WantedFile[], compress: boolean): Promise<PackRead> {
    this.#throwIfClosed()
    return buildPack(files, this.#reader, compress)
  }

  async readDigests (files: readonly WantedFile[]): Promise<PackRead> {
    this.#throwIfClosed()
    return buildDigests(files, this.#reader)
  }

  reuse (): void { /* every frame has its own buffer */ }

  openStream (request: StreamRequest): SourceStream {
    let reading: FileReading | undefined
    let isClosed = false
    return {
      next: async (compress): Promise<StreamStep> => {
        this.#throwIfClosed()
        if (isClosed) throw new FileSyncError('ABORTED', 'The file was closed while it was read.')
        reading ??= new FileReading(request, this.#reader)
        return reading.step(compress)
      },
      close: () => {
        isClosed = true
        reading?.close()
      },
    }
  }

  async close (): Promise<void> {
    this.#isClosed = true
  }

  #openFile (file: WantedFile, init: MemorySourceInit): OpenFile | FileFault {
    const path = joinPath(file.directory, file.entry.name)
    const content = init.content(path)
    if (content === undefined) return { code: 'VANISHED' }
    if (!(content instanceof Uint8Array)) return content
    if (content.length !== file.entry.sizeBytes) return CHANGED
    this.#open++
    let isOpen = true
    return {
      // As if the disk stored no zeros.
      get allocatedBytes () { return content.reduce((count, byte) => count + Math.sign(byte), 0) },
      read (into, position) {
        const piece = content.subarray(position, position + into.length)
        into.set(piece)
        return piece.length
      },
      check: () => init.check?.(path),
      close: () => {
        if (isOpen) this.#open--
        isOpen = false
      },
    }
  }

  #throwIfClosed (): void {
    if (this.#isClosed) throw new FileSyncError('ABORTED', 'The source is closed.')
  }
}
