import { FileSyncError, readPack } from '@filesync/protocol'
import type { PackedFile } from '@filesync/protocol'
import type { PackRequest } from './content-store.ts'
import { FACT_BYTES, writeFact } from './facts.ts'
import { cutSection } from './plan.ts'
import type { TaskList } from './plan.ts'

/** A pack and the tasks that it answers. */
export interface ParsedPack {
  readonly request: PackRequest
  /** The tasks in the order of the pack, with the sizes of their contents. */
  readonly files: readonly { readonly task: number, readonly bytes: number }[]
}

export interface PackContext {
  readonly tasks: TaskList
  readonly staging: string
  readonly nowMs: number
}

/** Sorts the files of a pack into sections. Throws FRAME_MALFORMED or DATA_UNEXPECTED. */
export function parsePack (pack: Uint8Array<ArrayBuffer>, { tasks, staging, nowMs }: PackContext): ParsedPack {
  const groups = new Map<number, { readonly index: number, readonly file: PackedFile }[]>()
  const files: { task: number, bytes: number }[] = []
  for (const file of readPack(pack)) {
    if (file.task >= tasks.mostTasks) throw new FileSyncError('DATA_UNEXPECTED', 'A file arrived for a task that was never given.')
    const { owner, index } = tasks.at(file.task)
    const group = groups.get(owner)
    if (group === undefined) groups.set(owner, [{ index, file }])
    else group.push({ index, file })
    files.push({ task: file.task, bytes: file.content.length })
  }
  const sections = [...groups.values()].map(group => {
    group.sort((a, b) => a.index - b.index)
    const task = group[0]?.file.task ?? 0
    const section = cutSection(tasks.at(task).directory, group.map(({ index }) => index), group.map(({ file }) => file.task))
    group.forEach(({ file }, i) => { writeFact(section.facts, i * FACT_BYTES, { digest: file.digest, storedAtMs: nowMs, verifiedAtMs: 0 }) })
    return {
      section,
      offsets: Uint32Array.from(group, ({ file }) => file.content.byteOffset - pack.byteOffset),
      lengths: Uint32Array.from(group, ({ file }) => file.content.length),
    }
  })
  return { request: { staging, pack, sections }, files }
}
