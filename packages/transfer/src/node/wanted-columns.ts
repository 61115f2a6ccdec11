import type { Name, RelativePath } from '@filesync/protocol'
import type { WantedFile } from '../file-source.ts'

/**
 * Wanted files column by column: one object per file takes several times as long to transfer between threads. The mode is left
 * out, because reading does not need it.
 */
export interface WantedColumns {
  readonly tasks: Uint32Array
  /** Each directory once. */
  readonly directories: readonly RelativePath[]
  /** For each file, the index of its directory. */
  readonly owners: Uint32Array
  readonly names: readonly Name[]
  readonly sizesBytes: Float64Array
  readonly mtimesNs: BigInt64Array
  readonly fileIds: BigUint64Array
  /** The indices of growing files. */
  readonly growing: readonly number[]
}

export function toColumns (files: readonly WantedFile[]): WantedColumns {
  const indices = new Map<RelativePath, number>()
  const columns = {
    tasks: new Uint32Array(files.length),
    owners: new Uint32Array(files.length),
    names: files.map(({ entry }) => entry.name),
    sizesBytes: new Float64Array(files.length),
    mtimesNs: new BigInt64Array(files.length),
    fileIds: new BigUint64Array(files.length),
    growing: [] as number[],
  }
  files.forEach(({ task, directory, entry, isGrowing }, i) => {
    const index = indices.get(directory) ?? indices.size
    if (index === indices.size) indices.set(directory, index)
    columns.tasks[i] = task
    columns.owners[i] = index
    columns.sizesBytes[i] = entry.sizeBytes
    columns.mtimesNs[i] = entry.mtimeNs
    columns.fileIds[i] = entry.fileId
    if (isGrowing === true) columns.growing.push(i)
  })
  return { ...columns, directories: [...indices.keys()] }
}

export function fromColumns ({ tasks, directories, owners, names, sizesBytes, mtimesNs, fileIds, growing }: WantedColumns): WantedFile[] {
  const growingFiles = new Set(growing)
  return names.map((name, i) => ({
    task: tasks[i] ?? 0,
    directory: directories[owners[i] ?? 0] as RelativePath,
    entry: { kind: 'file', name, sizeBytes: sizesBytes[i] ?? 0, mtimeNs: mtimesNs[i] ?? 0n, mode: 0, fileId: fileIds[i] ?? 0n },
    ...(growingFiles.has(i) && { isGrowing: true }),
  }))
}
