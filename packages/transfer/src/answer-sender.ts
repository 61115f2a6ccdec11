import { FLAG_ZSTD, frameFlags, joinPath, problem, wait } from '@filesync/protocol'
import type { Clock, Connection, Message, RelativePath } from '@filesync/protocol'
import type { PlannedRead } from './answer-plan.ts'
import { CompressionChoice } from './compression-choice.ts'
import type { Compression } from './compression-choice.ts'
import { UNSENT_BYTES_PER_STEP } from './file-reading.ts'
import type { FileFault, FileSource, PackRead, SourceStream, StreamRequest, StreamStep, WantedFile } from './file-source.ts'
import type { ProgressMeter } from './progress.ts'
import { TokenBucket } from './token-bucket.ts'

interface PendingPack {
  readonly kind: 'PACK'
  readonly tasks: number
  /** The first of its files, shown as progress. */
  readonly path: RelativePath | undefined
  readonly bytes: number
  readonly read: Promise<PackRead>
  drop (): void
}

interface PendingStream {
  readonly kind: 'STREAM'
  readonly tasks: 1
  readonly bytes: number
  readonly request: StreamRequest
  readonly steps: ReadAhead
  drop (): void
}

/** An answer that is being read; `bytes` of memory are reserved for it. `drop` cancels it. */
export type PendingAnswer = PendingPack | PendingStream

export interface AnswerSenderInit {
  readonly connection: Connection
  readonly source: FileSource
  readonly clock: Clock
  readonly meter: ProgressMeter
  readonly burstBytes: number
  readonly limitBytesPerSecond?: number
  readonly compression?: Compression
}

/** What a step adds to the counts of the transfer. */
type Counts = Partial<Pick<ProgressMeter, 'files' | 'bytes' | 'carriedBytes' | 'skippedBytes'>>

/** Starts reads and sends their results, within the rate limit, compressed if that pays. */
export class AnswerSender {
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #meter: ProgressMeter
  readonly #choice: CompressionChoice
  readonly #bucket: TokenBucket | undefined
  readonly #stopped = new AbortController()
  readonly #source: FileSource
  #current: PendingAnswer | undefined

  constructor (init: AnswerSenderInit) {
    const nowMs = init.clock.monotonicMs()
    this.#connection = init.connection
    this.#source = init.source
    this.#clock = init.clock
    this.#meter = init.meter
    this.#choice = new CompressionChoice(init.compression ?? 'never', nowMs)
    this.#bucket = init.limitBytesPerSecond === undefined
      ? undefined
      : new TokenBucket({ bytesPerSecond: init.limitBytesPerSecond, burstBytes: init.burstBytes, nowMs })
  }

  start (read: PlannedRead): PendingAnswer {
    if (read.kind !== 'STREAM') {
      const { files } = read
      const packRead = read.kind === 'PACK' ? this.#source.readPack(files, this.#choice.isOn) : this.#source.readDigests(files)
      // `send` handles a failure when it awaits the read; until then the rejection must not count as unhandled.
      packRead.catch(() => { /* handled in send */ })
      return {
        kind: 'PACK', tasks: files.length, bytes: read.bytes, path: pathOf(files[0]), read: packRead,
        drop: () => { /* it ends by itself */ },
      }
    }
    const stream = this.#source.openStream(read.request)
    const steps = new ReadAhead(stream, read.request)
    steps.fill(this.#choice.isOn)
    return { kind: 'STREAM', tasks: 1, bytes: read.bytes, request: read.request, steps, drop: () => { stream.close() } }
  }

  async send (answer: PendingAnswer): Promise<void> {
    this.#current = answer
    try {
      if (answer.kind === 'PACK') {
        this.#meter.path = answer.path
        await this.#sendPack(await answer.read)
      } else await this.#sendStream(answer)
    } finally {
      answer.drop()
      this.#current = undefined
    }
  }

  stop (reason: unknown): void {
    this.#current?.drop()
    this.#stopped.abort(reason)
  }

  async #sendPack (read: PackRead): Promise<void> {
    if (read.frame !== undefined) await this.#sendFrame(read.frame)
    for (const fault of read.faults) await this.#sendFault(fault.task, fault)
    this.#count({ files: read.files + read.faults.length, bytes: read.bytes, carriedBytes: read.bytes })
  }

  async #sendStream ({ request: { file, offset, content }, steps }: PendingStream): Promise<void> {
    const { task, entry: { sizeBytes } } = file
    this.#meter.path = pathOf(file)
    let isHeaderDue = true
    for (;;) {
      const step = await steps.take(this.#choice.isOn)
      if (step.kind === 'FAULT') {
        await this.#sendFault(task, step.fault)
        break
      }
      if (step.kind === 'READ') {
        this.#count({ bytes: step.fileBytes, skippedBytes: content === 'DATA' ? step.fileBytes : 0 })
        continue
      }
      if (isHeaderDue) await this.#sendMessage({ type: 'FILE_HEADER', task, sizeBytes, offset, content })
      isHeaderDue = false
      if (step.kind === 'END') {
        await this.#sendMessage({ type: 'FILE_END', task, digest: step.digest })
        break
      }
      if (step.kind === 'HOLE') {
        await this.#sendMessage({ type: 'FILE_HOLE', task, bytes: step.fileBytes })
        this.#count({ bytes: step.fileBytes, skippedBytes: step.fileBytes })
        continue
      }
      // The bytes of the file that a DELTA frame covers were counted when they were read.
      const carriedBytes = step.fileBytes === 0 ? step.frame.length : step.fileBytes
      await this.#sendFrame(step.frame)
      this.#count({ bytes: step.fileBytes, carriedBytes })
    }
    this.#count({ files: 1 })
  }

  async #sendFault (task: number, fault: FileFault): Promise<void> {
    const { code, message } = problem('', fault.code, fault.detail)
    await this.#sendMessage({ type: 'FILE_PROBLEM', task, code, message })
  }

  async #sendMessage (message: Message): Promise<void> {
    this.#stopped.signal.throwIfAborted()
    await this.#connection.send(message)
  }

  async #sendFrame (frame: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#stopped.signal.throwIfAborted()
    const { length } = frame
    // Before it is sent, because its memory is reused afterwards.
    const isCompressed = (frameFlags(frame) & FLAG_ZSTD) !== 0
    const startMs = this.#clock.monotonicMs()
    const delayMs = this.#bucket?.take(length, startMs) ?? 0
    if (delayMs > 0) await wait(this.#clock, delayMs, this.#stopped.signal)
    await this.#connection.sendFrame(frame, () => { this.#source.reuse(frame.buffer) })
    const nowMs = this.#clock.monotonicMs()
    this.#choice.sent({ bytes: length, waitedMs: nowMs - startMs, nowMs })
    this.#meter.isCompressing = isCompressed
  }

  #count ({ files = 0, bytes = 0, carriedBytes = 0, skippedBytes = 0 }: Counts): void {
    this.#meter.files += files
    this.#meter.bytes += bytes
    this.#meter.carriedBytes += carriedBytes
    this.#meter.skippedBytes += skippedBytes
    this.#meter.update(this.#clock.monotonicMs())
  }
}

function pathOf (file: WantedFile | undefined): RelativePath | undefined {
  return file === undefined ? undefined : joinPath(file.directory, file.entry.name)
}

/** Steps of one file that are read ahead, so that reading continues while sending waits. */
const STEPS_AHEAD = 4

class ReadAhead {
  readonly #stream: SourceStream
  readonly #pending: Promise<StreamStep>[] = []
  /** Steps that the file certainly still has; after these, steps are requested one at a time. */
  #certain: number

  constructor (stream: SourceStream, request: StreamRequest) {
    this.#stream = stream
    const { file: { entry: { sizeBytes } }, content, offset, pieceBytes } = request
    const [silentBytes, sentBytes] = content === 'DATA' ? [offset, sizeBytes - offset] : [sizeBytes, 0]
    this.#certain = 1 + Math.floor(silentBytes / (UNSENT_BYTES_PER_STEP + pieceBytes)) + Math.ceil(sentBytes / pieceBytes)
  }

  fill (compress: boolean): void {
    while (this.#pending.length === 0 || (this.#certain > 0 && this.#pending.length < STEPS_AHEAD)) {
      const step = this.#stream.next(compress)
      step.catch(() => { /* handled when it is taken */ })
      this.#pending.push(step)
      this.#certain--
    }
  }

  async take (compress: boolean): Promise<StreamStep> {
    this.fill(compress)
    const step = await (this.#pending.shift() as Promise<StreamStep>)
    // A step that was not counted, because a delta had something to send; it is never the last one.
    if (step.kind === 'FRAME' ? step.fileBytes === 0 : step.kind === 'READ' && step.fileBytes < UNSENT_BYTES_PER_STEP) this.#certain++
    return step
  }
}
