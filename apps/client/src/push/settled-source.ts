import { joinPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { FileFault, FileSource, PackRead, SourceStream, StreamRequest, WantedFile } from '@filesync/transfer'

type Wanted = readonly WantedFile[]

const UNSETTLED: FileFault = { code: 'UNSETTLED' }

const NONE: ReadonlySet<RelativePath> = new Set()

export interface SettledSourceInit {
  readonly source: FileSource
  readonly isUnsettled: (path: RelativePath) => boolean
  /** Those that have not come to rest, and whose beginning is sent all the same. */
  readonly growing: ReadonlySet<RelativePath> | undefined
  /** Told of each directory in which a file was not what was listed any more. */
  readonly onStale: (directory: RelativePath) => void
}

/**
 * A source that holds back the files that have not come to rest: they are answered with the problem UNSETTLED. Files that
 * were changed, replaced or moved since they were listed are noted, so that they are listed again and sent soon.
 */
export function settledSource ({ source, isUnsettled, growing = NONE, onStale }: SettledSourceInit): FileSource {
  const grows = ({ directory, entry }: WantedFile): boolean => growing.size > 0 && growing.has(joinPath(directory, entry.name))
  const holds = (file: WantedFile): boolean => isUnsettled(joinPath(file.directory, file.entry.name)) && !grows(file)
  const marked = (file: WantedFile): WantedFile => grows(file) ? { ...file, isGrowing: true } : file
  const note = ({ directory }: WantedFile, { code }: FileFault): void => {
    if (code === 'CHANGED_DURING_READ' || code === 'VANISHED') onStale(directory)
  }
  const readSettled = async (files: Wanted, read: (settled: Wanted) => Promise<PackRead>): Promise<PackRead> => {
    const held = files.filter(holds)
    const settled = held.length === 0 ? files : files.filter(file => !held.includes(file))
    const done = await read(growing.size === 0 ? settled : settled.map(marked))
    const faults = new Map(done.faults.map(fault => [fault.task, fault]))
    for (const file of faults.size === 0 ? [] : files) {
      const fault = faults.get(file.task)
      if (fault !== undefined) note(file, fault)
    }
    return { ...done, faults: [...done.faults, ...held.map(({ task }) => ({ task, ...UNSETTLED }))] }
  }
  return {
    parallelism: source.parallelism,
    prepare: directories => { source.prepare(directories) },
    refresh: () => { source.refresh() },
    readPack: async (files, compress) => await readSettled(files, async settled => await source.readPack(settled, compress)),
    readDigests: async files => await readSettled(files, async settled => await source.readDigests(settled)),
    reuse: buffer => { source.reuse(buffer) },
    openStream: request => holds(request.file) ? heldBack : noted(source.openStream({ ...request, file: marked(request.file) }), request, note),
    close: async () => { await source.close() },
  }
}

function noted (stream: SourceStream, { file }: StreamRequest, note: (file: WantedFile, fault: FileFault) => void): SourceStream {
  return {
    next: async compress => {
      const step = await stream.next(compress)
      if (step.kind === 'FAULT') note(file, step.fault)
      return step
    },
    close: () => { stream.close() },
  }
}

const heldBack: SourceStream = {
  next: async () => ({ kind: 'FAULT', fault: UNSETTLED }),
  close () { /* nothing was opened */ },
}
