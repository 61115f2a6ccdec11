import { equalDigests } from '@filesync/protocol'
import type { Clock, Digest, FileDigest, RelativePath } from '@filesync/protocol'
import type { ComparedDirectory } from '../compare/compared-directory.ts'
import { FACT_BYTES, writeFact } from '../store/facts.ts'
import type { Fact } from '../store/facts.ts'
import { cutSection } from '../compare/cut-section.ts'
import type { PresentFiles } from './present-files.ts'
import { SAME_CONTENT } from '../store/section.ts'
import type { StagedSection } from '../store/section.ts'
import type { TaskList } from '../compare/task-list.ts'

export interface ProofInit {
  readonly tasks: TaskList
  readonly present: PresentFiles
  readonly clock: Clock
  /** Facts of the files that seem to move, by their numbers in staging. */
  readonly moved: Promise<ReadonlyMap<number, Fact>>
}

/** A file whose content is stored already. */
interface Proven {
  readonly task: number
  readonly index: number
  /** Its number in staging, or SAME_CONTENT. */
  readonly number: number
  readonly fact: Fact | undefined
}

export interface Proofs {
  /** Tasks of the files whose content is stored already. */
  readonly proven: ReadonlySet<number>
  /** Sections that place this content. */
  readonly sections: StagedSection[]
  /** Paths of stored files that were changed outside FileSync. */
  readonly altered: readonly RelativePath[]
}

/** Compares the client's digests with what is stored: under the path from which a file seems to have moved, or under its own. */
export async function proveDigests (init: ProofInit, files: readonly FileDigest[]): Promise<Proofs> {
  const { tasks, clock } = init
  const { alike, altered } = await proveAlike(init, files)
  const groups = new Map<ComparedDirectory, Proven[]>()
  const proven = new Set<number>()
  for (const found of [...await proveMoves(init, files), ...alike]) {
    const { directory, index } = tasks.at(found.task)
    proven.add(found.task)
    const group = groups.get(directory)
    if (group === undefined) groups.set(directory, [{ ...found, index }])
    else group.push({ ...found, index })
  }
  // The content is stored under this path from now on; the history depends on that time.
  const storedAtMs = clock.nowMs()
  const sections = [...groups].map(([directory, group]) => {
    group.sort((a, b) => a.index - b.index)
    const section = cutSection(directory, group.map(({ index }) => index), group.map(({ number }) => number))
    group.forEach(({ fact }, i) => { if (fact !== undefined) writeFact(section.facts, i * FACT_BYTES, { ...fact, storedAtMs }) })
    return { section, bytes: 0 }
  })
  return { proven, sections, altered }
}

async function proveMoves ({ tasks, moved }: ProofInit, files: readonly FileDigest[]): Promise<Omit<Proven, 'index'>[]> {
  if (tasks.moves.size === 0) return []
  const facts = await moved
  return files.flatMap(({ task, digest }) => {
    const number = tasks.moves.get(task)?.number
    const fact = number === undefined ? undefined : facts.get(number)
    return number !== undefined && isSame(fact?.digest, digest) ? [{ task, number, fact }] : []
  })
}

interface AlikeProofs {
  readonly alike: readonly Omit<Proven, 'index'>[]
  readonly altered: readonly RelativePath[]
}

async function proveAlike ({ tasks, present }: ProofInit, files: readonly FileDigest[]): Promise<AlikeProofs> {
  const candidates = files.filter(({ task }) => !tasks.moves.has(task))
    .map(({ task, digest }) => ({ task, digest, path: tasks.describe(task).path }))
    .filter(({ path, digest }) => isSame(present.digestOf(path), digest))
  const areUnchanged = await present.areUnchanged(candidates.map(({ path }) => path))
  return {
    alike: candidates.filter((_, i) => areUnchanged[i]).map(({ task }) => ({ task, number: SAME_CONTENT, fact: undefined })),
    altered: candidates.filter((_, i) => areUnchanged[i] !== true).map(({ path }) => path),
  }
}

function isSame (known: Digest | undefined, digest: Digest): boolean {
  return known !== undefined && equalDigests(known, digest)
}
