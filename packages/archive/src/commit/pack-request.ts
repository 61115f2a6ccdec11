import { readPack } from '@filesync/protocol'
import type { PackedFile } from '@filesync/protocol'
import type { PackFailure, PackRequest } from '../store/content-store.ts'
import { FACT_BYTES, writeFact } from '../store/facts.ts'
import type { Position } from '../store/position.ts'
import type { ComparedDirectory } from '../compare/compared-directory.ts'
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
  /** Called for each task before anything else is done for it. Throws if the client may not answer it (again). */
  readonly claim: (task: number) => void
}

interface PlacedFile {
  /** Among the compared entries of its directory. */
  readonly place: number
  readonly file: PackedFile
}

/** Sorts the files of a pack into sections. Throws FRAME_MALFORMED or DATA_UNEXPECTED. */
export function parsePack (pack: Uint8Array<ArrayBuffer>, { tasks, folders, staging, now, claim }: PackContext): ParsedPack {
  const groups = new Map<number, { readonly directory: ComparedDirectory, readonly files: PlacedFile[] }>()
  const files: { task: number, bytes: number }[] = []
  for (const file of readPack(pack)) {
    claim(file.task)
    const { directory, place } = tasks.at(file.task)
    const group = groups.get(directory.owner)
    if (group === undefined) groups.set(directory.owner, { directory, files: [{ place, file }] })
    else group.files.push({ place, file })
    files.push({ task: file.task, bytes: file.content.length })
  }
  const sections = [...groups].map(([owner, { directory, files: group }]) => {
    group.sort((a, b) => a.place - b.place)
    const section = cutSection(directory, group.map(({ place }) => place), group.map(({ file }) => file.task))
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
