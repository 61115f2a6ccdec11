import { parentPort, workerData } from 'node:worker_threads'
import { asFileSyncError, FileSyncError, FRAME_HEADER_BYTES, LIMITS } from '@filesync/protocol'
import { createHasher, hashBytes } from '@filesync/protocol/node'
import { FileReading } from '../file-reading.ts'
import type { PackRead, StreamStep } from '../file-source.ts'
import { buildDigests, buildPack } from '../source-reader.ts'
import type { SourceReader } from '../source-reader.ts'
import { createCutFinder } from './cut-finder.ts'
import { openWanted } from './open-file.ts'
import { sourceDirectories } from './source-directories.ts'
import { fromColumns } from './wanted-columns.ts'
import type { LentBuffer, SourceAnswer, SourceQuestion, SourceWorkerData } from './worker-protocol.ts'
import { zstdCompress } from './zstd.ts'

/** Directory handles are closed after this time without work. */
const IDLE_MS = 1_000
/** Only larger frames get a buffer that can be reused. */
const SMALL_BYTES = 64 << 10
const FRAME_BYTES = FRAME_HEADER_BYTES + LIMITS.rawFrameBytes

const port = parentPort
if (port === null) throw new FileSyncError('INTERNAL', 'This module runs in a worker thread.')
const directories = sourceDirectories((workerData as SourceWorkerData).roots)
const reader: SourceReader = {
  open: file => openWanted(file, directories),
  allocate,
  hash: hashBytes,
  createHasher,
  createCutFinder,
  compress: zstdCompress,
}
/** Files being read, or why reading could not start. */
const readings = new Map<number, FileReading | { readonly failure: unknown }>()
let idle: NodeJS.Timeout | undefined
/** The buffer of the current request, until a frame uses it. */
let lent: ArrayBuffer | undefined

port.on('message', (question: SourceQuestion & LentBuffer) => {
  lent = question.buffer
  clearTimeout(idle)
  idle = setTimeout(() => { directories.releaseHandles() }, IDLE_MS)
  switch (question.kind) {
    case 'PACK': return answer(question.id, () => buildPack(fromColumns(question.files), reader, question.compress))
    case 'DIGESTS': return answer(question.id, () => buildDigests(fromColumns(question.files), reader))
    case 'NEXT': return answer(question.id, () => nextStep(question.stream, question.compress))
    case 'OPEN': return open(question)
    case 'CLOSE': return close(question.stream)
    case 'RELEASE': return void directories.releaseHandles()
  }
})

function open ({ stream, request }: Extract<SourceQuestion, { kind: 'OPEN' }>): void {
  try {
    readings.set(stream, new FileReading(request, reader))
  } catch (failure) {
    readings.set(stream, { failure })
  }
}

function nextStep (stream: number, compress: boolean): StreamStep {
  const reading = readings.get(stream)
  if (reading === undefined) throw new FileSyncError('ABORTED', 'The file was closed while it was read.')
  if (!(reading instanceof FileReading)) throw reading.failure
  return reading.step(compress)
}

function close (stream: number): void {
  const reading = readings.get(stream)
  if (reading instanceof FileReading) reading.close()
  readings.delete(stream)
}

function allocate (sizeBytes: number): Uint8Array<ArrayBuffer> {
  const buffer = lent
  if (sizeBytes > SMALL_BYTES && buffer !== undefined) {
    lent = undefined
    return new Uint8Array(buffer, 0, sizeBytes)
  }
  // Not from Node's pool, so that it can be transferred; not zero-filled, because it is overwritten.
  const made = Buffer.allocUnsafeSlow(sizeBytes > SMALL_BYTES ? FRAME_BYTES : sizeBytes)
  return new Uint8Array(made.buffer, 0, sizeBytes)
}

function answer (id: number, work: () => PackRead | StreamStep): void {
  try {
    const result = work()
    const frame = 'frame' in result ? result.frame : undefined
    reply({ id, result, spare: lent }, frame === undefined ? [] : [frame.buffer])
  } catch (error) {
    const { code, message } = asFileSyncError(error)
    reply({ id, error: { code, message }, spare: lent }, [])
  }
}

function reply (message: SourceAnswer, transfer: ArrayBuffer[]): void {
  lent = undefined
  port?.postMessage(message, message.spare === undefined ? transfer : [...transfer, message.spare])
}
