import { problem } from '@filesync/protocol'
import type { Digest, Problem, RelativePath, StagedFile, StageOutcome } from '@filesync/protocol'
import type { ContentStream, StreamEnd } from '../store/content-store.ts'
import { writeFact } from '../store/facts.ts'
import type { Fact } from '../store/facts.ts'
import { cutSection } from '../compare/plan.ts'
import type { Section } from '../store/section.ts'
import type { TaskList } from '../compare/task-list.ts'

/** A section of one file that is whole in staging. */
export function fileSection (tasks: TaskList, task: number, fact: Omit<Fact, 'verifiedAtMs'>): Section {
  const { directory, index } = tasks.at(task)
  const section = cutSection(directory, [index], [task])
  writeFact(section.facts, 0, { ...fact, verifiedAtMs: 0 })
  return section
}

export interface StreamedFileInit {
  readonly task: number
  readonly path: RelativePath
  readonly sizeBytes: number
  readonly stream: ContentStream
  /** Called once, with the digest where the content is whole, and with its signature where that is known. */
  readonly ended: (outcome: StageOutcome, digest: Digest | undefined, signature: Uint8Array | undefined) => void
  /** Told of all that arrives but holes. */
  readonly wrote: (bytes: number) => void
  readonly check: () => void
  readonly failed: (error: unknown) => void
}

/** Wraps the store's stream, so that its end reaches the sync. */
export function streamedFile (init: StreamedFileInit): StagedFile {
  const { task, path, stream } = init
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    init.check()
    try {
      return await work()
    } catch (error) {
      init.failed(error)
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
      init.ended(outcome, end === 'WHOLE' ? digest : undefined, signature)
      return outcome
    }),
    abandon: () => stream.abandon(),
  }
}

function faultOf (path: RelativePath, end: Exclude<StreamEnd, 'WHOLE'>): Problem {
  return end === 'DIFFERENT' ? problem(path, 'DIGEST_MISMATCH', 'it is asked for again at the next sync') : problem(path, 'NO_ROOM', end.lack)
}
