import { problem } from '@filesync/protocol'
import type { Digest, Problem, RelativePath, StagedFile, StageOutcome } from '@filesync/protocol'
import type { ContentStream, StreamOutcome } from '../store/content-store.ts'
import { writeFact } from '../store/facts.ts'
import type { Fact } from '../store/facts.ts'
import { cutSection } from '../compare/cut-section.ts'
import type { Section } from '../store/section.ts'
import type { TaskList } from '../compare/task-list.ts'
import type { SyncStatus } from './sync-status.ts'

/** A section of one file whose content is staged. */
export function fileSection (tasks: TaskList, task: number, fact: Omit<Fact, 'verifiedAtMs'>): Section {
  const { directory, place } = tasks.at(task)
  const section = cutSection(directory, [place], [task])
  writeFact(section.facts, 0, { ...fact, verifiedAtMs: 0 })
  return section
}

export interface StreamedFileInit {
  readonly task: number
  readonly path: RelativePath
  readonly sizeBytes: number
  readonly stream: ContentStream
  readonly status: SyncStatus
  /** Called once, with the digest if the content is whole, and with its signature if that is known. */
  readonly ended: (outcome: StageOutcome, digest: Digest | undefined, signature: Uint8Array | undefined) => Promise<void>
  /** Called for all bytes that arrive, except holes. */
  readonly wrote: (bytes: number) => void
}

/** Wraps the store's stream, so that its result or failure reaches the sync. */
export function streamedFile (init: StreamedFileInit): StagedFile {
  const { task, path, stream, status } = init
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    status.ensureRunning()
    try {
      return await work()
    } catch (error) {
      status.fail(error)
      throw error
    }
  }
  return {
    write: (bytes, reuse) => guarded(() => {
      init.wrote(bytes.length)
      return stream.write(bytes, reuse)
    }),
    hole: lengthBytes => guarded(() => stream.hole(lengthBytes)),
    copy: (offset, lengthBytes) => guarded(() => stream.copy(offset, lengthBytes)),
    finish: (digest, signature) => guarded(async () => {
      const end = await stream.finish(digest)
      const outcome = end === 'WHOLE' ? { task, bytes: init.sizeBytes } : { task, bytes: 0, problem: faultOf(path, end) }
      await init.ended(outcome, end === 'WHOLE' ? digest : undefined, signature)
      return outcome
    }),
    abandon: () => stream.abandon(),
  }
}

function faultOf (path: RelativePath, end: Exclude<StreamOutcome, 'WHOLE'>): Problem {
  if (end === 'DIFFERENT') return problem(path, 'DIGEST_MISMATCH', 'it is asked for again at the next sync')
  return problem(path, 'NO_ROOM', end.lack)
}
