import { equalDigests } from '@filesync/protocol'
import type { Clock, Digest, FileDigest, RelativePath } from '@filesync/protocol'
import type { ComparedDirectory } from '../compare/compared-directory.ts'
import { FACT_BYTES, writeFact } from '../store/facts.ts'
import type { Fact } from '../store/facts.ts'
import { cutSection } from '../compare/cut-section.ts'
import type { LinkedFile, LinkedFiles } from './linked-files.ts'
import type { MoveProofs } from './move-proofs.ts'
import type { PresentFiles } from './present-files.ts'
import type { Position } from '../store/position.ts'
import { SAME_CONTENT } from '../store/section.ts'
import type { StagedSection } from '../store/section.ts'
import type { TaskList } from '../compare/task-list.ts'

export interface ProofInit {
  readonly tasks: TaskList
  readonly present: PresentFiles
  readonly clock: Clock
  readonly moves: MoveProofs
  readonly linked: LinkedFiles
  readonly began: Pick<Position, 'count'>
}

/** A file whose content is stored already. */
interface Proven {
  readonly task: number
  /** Its number in staging, or SAME_CONTENT. */
  readonly number: number
  readonly fact: Fact | undefined
}

export interface Proofs {
  /** Tasks of the files whose content is stored already, or staged, or may still arrive under another name of the file. */
  readonly proven: ReadonlySet<number>
  /** Sections that place this content. */
  readonly sections: StagedSection[]
  /** Paths of stored files that were changed outside FileSync. */
  readonly altered: readonly RelativePath[]
}

/**
 * Compares the client's digests with what is stored under the path from which a file seems to have moved, with what arrived under another
 * name of it, or with what is stored under its own path.
 */
export async function proveDigests (init: ProofInit, files: readonly FileDigest[]): Promise<Proofs> {
  const { moves } = init
  // At once: content that is staged meanwhile is linked for the names that are known to wait for it.
  const { linked, waiting } = proveLinked(init, files)
  const { alike, altered } = await proveAlike(init, files)
  const proven = new Set<number>()
  for (const task of waiting) proven.add(task)
  const found = [...await moves.prove(files), ...linked, ...alike]
  for (const { task } of found) proven.add(task)
  return { proven, sections: sectionsOf(init, found), altered }
}

/** Sections of files whose content is stored or staged. */
function sectionsOf ({ tasks, clock }: Pick<ProofInit, 'tasks' | 'clock'>, found: readonly Proven[]): StagedSection[] {
  const groups = new Map<number, { readonly directory: ComparedDirectory, readonly files: (Proven & { readonly place: number })[] }>()
  for (const one of found) {
    const { directory, place } = tasks.at(one.task)
    const group = groups.get(directory.owner)
    if (group === undefined) groups.set(directory.owner, { directory, files: [{ ...one, place }] })
    else group.files.push({ ...one, place })
  }
  // The content is stored under this path from now on; the history depends on that time.
  const storedAtMs = clock.nowMs()
  return [...groups.values()].map(({ directory, files: group }) => {
    group.sort((a, b) => a.place - b.place)
    const section = cutSection(directory, group.map(({ place }) => place), group.map(({ number }) => number))
    group.forEach(({ fact }, i) => { if (fact !== undefined) writeFact(section.facts, i * FACT_BYTES, { ...fact, storedAtMs }) })
    return { section, bytes: 0 }
  })
}

/** Sections of names whose content arrived under another name of the file. */
export function linkedSections (init: Pick<ProofInit, 'tasks' | 'clock' | 'began'>, files: readonly LinkedFile[]): StagedSection[] {
  return sectionsOf(init, files.map(file => toProven(file, init)))
}

function toProven ({ task, number, digest }: LinkedFile, { began }: Pick<ProofInit, 'began'>): Proven {
  return { task, number, fact: { digest, storedAtMs: 0, verifiedAtMs: 0, storedCount: began.count } }
}

function proveLinked (init: ProofInit, files: readonly FileDigest[]): { readonly linked: Proven[], readonly waiting: number[] } {
  const linked: Proven[] = []
  const waiting: number[] = []
  for (const { task, digest } of files) {
    const found = init.linked.compare(task, digest)
    if (found === 'waiting') waiting.push(task)
    else if (found !== undefined) linked.push(toProven(found, init))
  }
  return { linked, waiting }
}

interface AlikeProofs {
  readonly alike: readonly Proven[]
  readonly altered: readonly RelativePath[]
}

async function proveAlike ({ tasks, present }: ProofInit, files: readonly FileDigest[]): Promise<AlikeProofs> {
  const candidates = files.filter(({ task }) => !tasks.moves.has(task) && tasks.links.groupOf(task) === undefined)
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
