import { joinPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { FileFault, FileSource, PackRead, SourceStream, StreamRequest, WantedFile } from '@filesync/transfer'

type Wanted = readonly WantedFile[]

const UNSETTLED: FileFault = { code: 'UNSETTLED' }

const NONE: ReadonlySet<RelativePath> = new Set()

export interface SettledSourceInit {
  readonly source: FileSource
  readonly isUnsettled: (path: RelativePath) => boolean
  /** The unsettled files whose beginning is sent nevertheless. */
  readonly growing: ReadonlySet<RelativePath> | undefined
  /** Called with each directory in which a file had changed or vanished since it was listed. */
  readonly onStale: (directory: RelativePath) => void
}

/**
 * A source that holds back unsettled files: it answers for them with the problem UNSETTLED. It also reports files that were
 * changed, replaced or moved since they were listed, so that they are listed again and sent soon.
 */
export function settledSource ({ source, isUnsettled, growing = NONE, onStale }: SettledSourceInit): FileSource {
  const isGrowing = ({ directory, entry }: WantedFile): boolean => growing.size > 0 && growing.has(joinPath(directory, entry.name))
  const isHeldBack = (file: WantedFile): boolean => isUnsettled(joinPath(file.directory, file.entry.name)) && !isGrowing(file)
  const markGrowing = (file: WantedFile): WantedFile => isGrowing(file) ? { ...file, isGrowing: true } : file
  const reportStale = ({ directory }: WantedFile, { code }: FileFault): void => {
    if (code === 'CHANGED_DURING_READ' || code === 'VANISHED') onStale(directory)
  }
  const readSettled = async (files: Wanted, read: (settled: Wanted) => Promise<PackRead>): Promise<PackRead> => {
    const held = files.filter(isHeldBack)
    const settled = held.length === 0 ? files : files.filter(file => !held.includes(file))
    const done = await read(growing.size === 0 ? settled : settled.map(markGrowing))
    const faults = new Map(done.faults.map(fault => [fault.task, fault]))
    for (const file of faults.size === 0 ? [] : files) {
      const fault = faults.get(file.task)
      if (fault !== undefined) reportStale(file, fault)
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
    openStream: request => isHeldBack(request.file)
      ? heldBackStream
      : reportingStream(source.openStream({ ...request, file: markGrowing(request.file) }), request, reportStale),
    close: async () => { await source.close() },
  }
}

function reportingStream (
  stream: SourceStream, { file }: StreamRequest, reportStale: (file: WantedFile, fault: FileFault) => void,
): SourceStream {
  return {
    next: async compress => {
      const step = await stream.next(compress)
      if (step.kind === 'FAULT') reportStale(file, step.fault)
      return step
    },
    close: () => { stream.close() },
  }
}

const heldBackStream: SourceStream = {
  next: async () => ({ kind: 'FAULT', fault: UNSETTLED }),
  close () { /* nothing was opened */ },
}
