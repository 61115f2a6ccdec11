import { joinPath } from '@filesync/protocol'
import type { RelativePath } from '@filesync/protocol'
import type { FileFault, FileSource, SourceStream, WantedFile } from '@filesync/transfer'

const UNSETTLED: FileFault = { code: 'UNSETTLED' }

/** A source that holds back the files that have not come to rest: they are answered with the problem UNSETTLED. */
export function settledSource (source: FileSource, isUnsettled: (path: RelativePath) => boolean): FileSource {
  const holds = ({ directory, entry }: WantedFile): boolean => isUnsettled(joinPath(directory, entry.name))
  return {
    parallelism: source.parallelism,
    prepare: directories => { source.prepare(directories) },
    async readPack (files, compress) {
      const held = files.filter(holds)
      const read = await source.readPack(held.length === 0 ? files : files.filter(file => !held.includes(file)), compress)
      return { ...read, faults: [...read.faults, ...held.map(({ task }) => ({ task, ...UNSETTLED }))] }
    },
    reuse: buffer => { source.reuse(buffer) },
    openStream: request => holds(request.file) ? heldBack : source.openStream(request),
    close: async () => { await source.close() },
  }
}

const heldBack: SourceStream = {
  next: async () => ({ kind: 'FAULT', fault: UNSETTLED }),
  close () { /* nothing was opened */ },
}
