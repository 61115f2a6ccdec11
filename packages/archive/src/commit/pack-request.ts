import { FileSyncError, readPack } from '@filesync/protocol'
import type { PackedFile } from '@filesync/protocol'
import type { PackFailure, PackRequest } from '../store/content-store.ts'
import { FACT_BYTES, writeFact } from '../store/facts.ts'
import type { Position } from '../store/position.ts'
import { cutSection } from '../compare/cut-section.ts'
import { withoutEntries } from '../store/section.ts'
import type { StagedSection } from '../store/section.ts'
import type { StagingFolders } from './staging-folders.ts'
import type { TaskList } from '../compare/task-list.ts'

/** A pack, and the tasks that it answers. */
export interface ParsedPack {
  readonly request: PackRequest
  /** The tasks in the order of the pack, with the sizes of their contents. */
  readonly files: readonly { readonly task: number, readonly bytes: number }[]
}

export interface PackContext {
  readonly tasks: TaskList
  readonly folders: StagingFolders
  readonly staging: string
  readonly now: Position
}

/** Sorts the files of a pack into sections. Throws FRAME_MALFORMED or DATA_UNEXPECTED. */
export function parsePack (pack: Uint8Array<ArrayBuffer>, { tasks, folders, staging, now }: PackContext): ParsedPack {
  const groups = new Map<number, { readonly index: number, readonly file: PackedFile }[]>()
  const files: { task: number, bytes: number }[] = []
  for (const file of readPack(pack)) {
    if (file.task >= tasks.maxTasks) throw new FileSyncError('DATA_UNEXPECTED', 'Received a file for a task that does not exist.')
    const { owner, index } = tasks.at(file.task)
    const group = groups.get(owner)
    if (group === undefined) groups.set(owner, [{ index, file }])
    else group.push({ index, file })
    files.push({ task: file.task, bytes: file.content.length })
  }
  const sections = [...groups].map(([owner, group]) => {
    group.sort((a, b) => a.index - b.index)
    const task = group[0]?.file.task ?? 0
    const section = cutSection(tasks.at(task).directory, group.map(({ index }) => index), group.map(({ file }) => file.task))
    group.forEach(({ file: { digest } }, i) => {
      writeFact(section.facts, i * FACT_BYTES, { digest, storedAtMs: now.ms, verifiedAtMs: 0, storedCount: now.count })
    })
    const ranges = new Uint32Array(2 * group.length)
    const [offsets, lengths] = [ranges.subarray(0, group.length), ranges.subarray(group.length)]
    group.forEach(({ file: { content } }, i) => {
      offsets[i] = content.byteOffset - pack.byteOffset
      lengths[i] = content.length
    })
    return { section: folders.has(owner) ? { ...section, folder: owner } : section, offsets, lengths }
  })
  return { request: { staging, pack, sections }, files }
}

/** The sections of a pack that are in staging. */
export function stagedSections ({ sections }: PackRequest, failures: readonly PackFailure[]): StagedSection[] {
  return sections.flatMap(({ section, lengths }, at) => {
    const failed = failures.filter(failure => failure.section === at).map(({ entry }) => entry)
    const staged = failed.length === 0 ? section : withoutEntries(section, new Set(failed))
    return staged.staged.length === 0 ? [] : [{ section: staged, bytes: lengths.reduce((sum, length) => sum + length, 0) }]
  })
}
