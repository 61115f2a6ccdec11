import { PACK_RECORD_BYTES, writePackRecord } from '@filesync/protocol'
import type { HashBytes, StageOutcome, StagingArea } from '@filesync/protocol'
import { ensure } from '@filesync/protocol/testing'
import type { ConformanceCase } from '@filesync/protocol/testing'

/** A file of the session of a case; its index in the list is the number of its task. */
export interface StagingFile {
  readonly bytes: Uint8Array
  /** The server's earlier copy, for tasks that ask for a delta. */
  readonly present?: Uint8Array
  /** Size of the partial of an earlier session, for tasks that ask for the rest. */
  readonly stagedBytes?: number
}

/** The staging area under test. */
export interface StagingSubject {
  readonly hashBytes: HashBytes
  /** Starts a session that asks for these files. Partials of earlier sessions remain. */
  begin (files: readonly StagingFile[]): Promise<StagingArea>
  /** Ends the session, and returns the stored content of the file of a task. */
  stored (task: number): Promise<Uint8Array | undefined>
}

function isSame (left: Uint8Array | undefined, right: Uint8Array): boolean {
  return left?.length === right.length && right.every((byte, i) => byte === left[i])
}

function isStaged (outcome: StageOutcome | undefined, task: number, bytes: number): boolean {
  return outcome?.task === task && outcome.bytes === bytes && outcome.problem === undefined
}

/** Bytes without repetition, so that a piece in the wrong place is detected. */
function content (length: number, first: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7 + first) & 0xff)
}

interface PackedFile {
  readonly task: number
  readonly bytes: Uint8Array
  readonly digest: Uint8Array
}

function packOf (files: readonly PackedFile[]): Uint8Array<ArrayBuffer> {
  const pack = new Uint8Array(files.reduce((sum, { bytes }) => sum + PACK_RECORD_BYTES + bytes.length, 0))
  let at = 0
  for (const { task, bytes, digest } of files) {
    writePackRecord(pack, at, { task, sizeBytes: bytes.length, digest })
    pack.set(bytes, at + PACK_RECORD_BYTES)
    at += PACK_RECORD_BYTES + bytes.length
  }
  return pack
}

const LARGE_BYTES = 400_000

/** What every {@link StagingArea} must do. Each case gets a new subject. */
export const stagingConformance: readonly ConformanceCase<StagingSubject>[] = [
  {
    name: 'stages the files of a pack, including empty ones',
    async run (subject) {
      const files = [content(0, 1), content(5, 2), content(100_000, 3)]
      const area = await subject.begin(files.map(bytes => ({ bytes })))
      const outcomes = await area.stagePack(packOf(files.map((bytes, task) => ({ task, bytes, digest: subject.hashBytes(bytes) }))))
      for (const [task, bytes] of files.entries()) {
        const outcome = outcomes.find(candidate => candidate.task === task)
        ensure(isStaged(outcome, task, bytes.length), `the outcome of file ${String(task)} is not that it is staged`)
        ensure(isSame(await subject.stored(task), bytes), `file ${String(task)} was not stored unchanged`)
      }
      ensure(outcomes.length === files.length, 'there is not one outcome per file')
    },
  },
  {
    name: 'refuses a packed file with another digest, and stages the others',
    async run (subject) {
      const files = [content(10, 1), content(10, 2)]
      const area = await subject.begin(files.map(bytes => ({ bytes })))
      const wrong = subject.hashBytes(content(1, 9))
      const pack = packOf(files.map((bytes, task) => ({ task, bytes, digest: task === 0 ? wrong : subject.hashBytes(bytes) })))
      const outcomes = await area.stagePack(pack)
      ensure(outcomes.find(({ task }) => task === 0)?.problem?.code === 'DIGEST_MISMATCH', 'the wrong digest is not a problem')
      ensure(await subject.stored(0) === undefined, 'a file with a wrong digest is stored')
      ensure(isSame(await subject.stored(1), content(10, 2)), 'the other file is not stored')
    },
  },
  {
    name: 'stages a large file that comes in pieces, as views of larger buffers',
    async run (subject) {
      const bytes = content(LARGE_BYTES, 1)
      const file = await (await subject.begin([{ bytes }])).beginFile(0, 0)
      for (let at = 0; at < LARGE_BYTES; at += 70_001) {
        const piece = bytes.subarray(at, at + 70_001)
        const buffer = new Uint8Array(piece.length + 4)
        buffer.set(piece, 4)
        await file.write(buffer.subarray(4))
      }
      ensure(isStaged(await file.finish(subject.hashBytes(bytes)), 0, LARGE_BYTES), 'the outcome is not that it is staged')
      ensure(isSame(await subject.stored(0), bytes), 'the file was not stored unchanged')
    },
  },
  {
    name: 'refuses a large file with another digest',
    async run (subject) {
      const bytes = content(LARGE_BYTES, 1)
      const file = await (await subject.begin([{ bytes }])).beginFile(0, 0)
      await file.write(bytes.slice())
      const outcome = await file.finish(subject.hashBytes(content(1, 9)))
      ensure(outcome.problem?.code === 'DIGEST_MISMATCH' && outcome.bytes === 0, 'the wrong digest is not a problem')
      ensure(await subject.stored(0) === undefined, 'a file with a wrong digest is stored')
    },
  },
  {
    name: 'resumes an abandoned file in the next session',
    async run (subject) {
      const bytes = content(LARGE_BYTES, 1)
      const half = LARGE_BYTES / 2
      const first = await (await subject.begin([{ bytes }])).beginFile(0, 0)
      await first.write(bytes.slice(0, half))
      await first.abandon()
      ensure(await subject.stored(0) === undefined, 'half a file is stored')
      const second = await (await subject.begin([{ bytes, stagedBytes: half }])).beginFile(0, half)
      await second.write(bytes.slice(half))
      ensure(isStaged(await second.finish(subject.hashBytes(bytes)), 0, LARGE_BYTES), 'the resumed file is not staged')
      ensure(isSame(await subject.stored(0), bytes), 'the file was not stored unchanged')
    },
  },
  {
    name: 'builds a file from copies of the current one and new bytes',
    async run (subject) {
      const present = content(LARGE_BYTES, 1)
      const middle = content(1000, 77)
      const bytes = new Uint8Array([...present.subarray(LARGE_BYTES - 5000), ...middle, ...present.subarray(0, 300_000)])
      const file = await (await subject.begin([{ bytes, present }])).beginFile(0, 0)
      await file.copy(LARGE_BYTES - 5000, 5000)
      await file.write(middle)
      await file.copy(0, 300_000)
      ensure(isStaged(await file.finish(subject.hashBytes(bytes)), 0, bytes.length), 'the outcome is not that it is staged')
      ensure(isSame(await subject.stored(0), bytes), 'the file is not what the operations describe')
    },
  },
  {
    name: 'refuses to copy from beyond the end of the current file',
    async run (subject) {
      const present = content(1000, 1)
      const file = await (await subject.begin([{ bytes: content(LARGE_BYTES, 2), present }])).beginFile(0, 0)
      const failure = await file.copy(999, 2).then(() => undefined, (error: unknown) => error)
      const code = failure instanceof Error && 'code' in failure ? failure.code : failure
      ensure(code === 'DATA_UNEXPECTED', 'the copy is not refused with DATA_UNEXPECTED')
    },
  },
]
